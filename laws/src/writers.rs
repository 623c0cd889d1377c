//! Who writes a counter, and who gives a reason: read from the syntax of the code, tests aside.
//!
//! Types are followed as far as counters need it: through fields, variables, parameters, loops, closures, and functions
//! that return counters. Where two of a name are meant, both are.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, FnArg, Item, Member, Pat, ReturnType, Signature, Stmt};

use crate::Texts;
use crate::imports::is_test;

/// What an expression may stand for, as far as counters go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A struct of counters.
    Struct(String),
    /// A field of one.
    Counter(String),
}

type Places = BTreeSet<Place>;

/// The types of counters, beside the structs that have a method `set`.
const COUNTS: [&str; 2] = ["Count", "u64"];

/// The fields of the structs in `counters` that no code adds to or sets.
pub fn unwritten(counters: &Texts, code: &Texts) -> Vec<String> {
    let counters: Vec<syn::File> = parsed(counters).collect();
    let mut reader = Reader { structs: structs_of(&counters), ..Reader::default() };
    let files: Vec<syn::File> = counters.into_iter().chain(parsed(code)).collect();
    files.iter().for_each(|file| reader.note_fields(file));
    // What a function returns may be asked before the function is seen.
    for _ in 0..2 {
        files.iter().for_each(|file| reader.visit_file(file));
    }
    let fields = reader.structs.values().flat_map(BTreeMap::values).flatten();
    let all = fields.filter_map(|place| match place {
        Place::Counter(name) => Some(name),
        Place::Struct(_) => None,
    });
    all.filter(|name| !reader.written.contains(*name)).cloned().collect()
}

/// The variants of the enum `name`, defined in the text `table` by itself or by rows of a macro, that no code makes.
/// What only tells them apart, by a pattern or a comparison, makes none.
pub fn unmade(name: &str, table: &str, code: &Texts) -> Vec<String> {
    let mut maker = Maker { name, made: BTreeSet::new() };
    parsed(code).for_each(|file| maker.visit_file(&file));
    let table = syn::parse_file(table).unwrap_or_else(|error| panic!("{name}: {error}"));
    let variants: Vec<String> = table.items.iter().flat_map(|item| variants(item, name)).collect();
    assert!(!variants.is_empty(), "no variants of {name}");
    variants.into_iter().filter(|variant| !maker.made.contains(variant)).collect()
}

fn variants(item: &Item, name: &str) -> Vec<String> {
    match item {
        Item::Enum(item) if item.ident == name => {
            item.variants.iter().map(|variant| variant.ident.to_string()).collect()
        }
        // Each row begins with its variant.
        Item::Macro(call) if call.ident.is_none() => {
            let tokens: Vec<String> = call.mac.tokens.clone().into_iter().map(|it| it.to_string()).collect();
            tokens.split(|token| token == ";").filter_map(|row| row.first()).cloned().collect()
        }
        _ => Vec::new(),
    }
}

fn parsed(texts: &Texts) -> impl Iterator<Item = syn::File> {
    texts.iter().map(|(name, text)| syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// The names in a type, in their order.
#[derive(Default)]
struct Names(Vec<String>);

impl Visit<'_> for Names {
    fn visit_ident(&mut self, name: &syn::Ident) {
        self.0.push(name.to_string());
    }
}

fn names(ty: &syn::Type) -> Vec<String> {
    let mut names = Names::default();
    names.visit_type(ty);
    names.0
}

/// The last name of a path; none of what is no path.
fn last_name(expr: &Expr) -> String {
    let Expr::Path(path) = expr else { return String::new() };
    path.path.segments.last().map(|part| part.ident.to_string()).unwrap_or_default()
}

/// The fields of a struct, and the names in their types.
fn fields(item: &syn::ItemStruct) -> impl Iterator<Item = (String, Vec<String>)> {
    item.fields.iter().enumerate().map(|(n, field)| {
        let name = field.ident.as_ref().map_or(n.to_string(), ToString::to_string);
        (name, names(&field.ty))
    })
}

/// The structs of counters, and what their fields are.
type Structs = BTreeMap<String, BTreeMap<String, Places>>;

fn structs_of(files: &[syn::File]) -> Structs {
    let items = || files.iter().flat_map(|file| &file.items);
    let set_as_a_whole: Vec<String> = items()
        .filter_map(|item| match item {
            Item::Impl(item) => Some(item),
            _ => None,
        })
        .filter(|item| {
            item.items.iter().any(|it| matches!(it, syn::ImplItem::Fn(it) if it.sig.ident == "set"))
        })
        .flat_map(|item| names(&item.self_ty))
        .collect();
    let is_count = |name: &String| COUNTS.contains(&name.as_str()) || set_as_a_whole.contains(name);
    let all: Vec<&syn::ItemStruct> = items()
        .filter_map(|item| match item {
            Item::Struct(item) if item.ident != "Count" => Some(item),
            _ => None,
        })
        .collect();
    let mut structs = Structs::new();
    for item in &all {
        let of = |(name, types): (String, Vec<String>)| {
            let mut places = Places::new();
            if types.iter().any(is_count) {
                places.insert(Place::Counter(format!("{}.{name}", item.ident)));
            } else {
                let known = types.iter().filter(|name| all.iter().any(|item| item.ident == name));
                places.extend(known.cloned().map(Place::Struct));
            }
            (name, places)
        };
        structs.insert(item.ident.to_string(), fields(item).map(of).collect());
    }
    structs
}

#[derive(Default)]
struct Reader {
    structs: Structs,
    /// What fields of other structs are, by their names.
    fields: BTreeMap<String, Places>,
    /// What functions return, by their names.
    returned: BTreeMap<String, Places>,
    /// What the variables of the function are, whose text is read.
    variables: BTreeMap<String, Places>,
    /// The type that the text is an implementation of.
    own: Places,
    written: BTreeSet<String>,
}

impl Reader {
    fn note_fields(&mut self, file: &syn::File) {
        for item in &file.items {
            if let Item::Struct(item) = item
                && !self.structs.contains_key(&item.ident.to_string())
            {
                for (name, types) in fields(item) {
                    let places = self.of_types(&types);
                    self.fields.entry(name).or_default().extend(places);
                }
            }
        }
    }

    fn of_types(&self, types: &[String]) -> Places {
        types.iter().filter(|name| self.structs.contains_key(*name)).cloned().map(Place::Struct).collect()
    }

    /// What a field is, of what `base` stands for.
    fn field(&self, base: &Places, name: &str) -> Places {
        if base.is_empty() {
            return self.fields.get(name).cloned().unwrap_or_default();
        }
        let of = base.iter().filter_map(|place| match place {
            Place::Struct(base) => self.structs[base].get(name),
            Place::Counter(_) => None,
        });
        of.flatten().cloned().collect()
    }

    fn places(&self, expr: &Expr) -> Places {
        let of_all = |exprs: &mut dyn Iterator<Item = &Expr>| exprs.flat_map(|it| self.places(it)).collect();
        match expr {
            Expr::Path(path) => {
                let name = path.path.get_ident().map(ToString::to_string);
                name.and_then(|name| self.variables.get(&name)).cloned().unwrap_or_default()
            }
            Expr::Field(field) => {
                let name = match &field.member {
                    Member::Named(name) => name.to_string(),
                    Member::Unnamed(index) => index.index.to_string(),
                };
                self.field(&self.places(&field.base), &name)
            }
            Expr::MethodCall(call) => match self.returned.get(&call.method.to_string()) {
                Some(returned) => returned.clone(),
                None => of_all(&mut std::iter::once(&*call.receiver).chain(&call.args)),
            },
            Expr::Call(call) => match self.returned.get(&last_name(&call.func)) {
                Some(returned) => returned.clone(),
                None => of_all(&mut call.args.iter()),
            },
            Expr::Index(index) => self.places(&index.expr),
            Expr::Paren(inner) => self.places(&inner.expr),
            Expr::Reference(inner) => self.places(&inner.expr),
            Expr::Try(inner) => self.places(&inner.expr),
            Expr::Unary(inner) => self.places(&inner.expr),
            Expr::Array(array) => of_all(&mut array.elems.iter()),
            Expr::Tuple(tuple) => of_all(&mut tuple.elems.iter()),
            Expr::Block(block) => self.tail(&block.block),
            Expr::If(it) => {
                let other = it.else_branch.iter().flat_map(|(_, other)| self.places(other));
                self.tail(&it.then_branch).into_iter().chain(other).collect()
            }
            Expr::Match(it) => of_all(&mut it.arms.iter().map(|arm| &*arm.body)),
            _ => Places::new(),
        }
    }

    /// What a block's value is.
    fn tail(&self, block: &Block) -> Places {
        match block.stmts.last() {
            Some(Stmt::Expr(expr, None)) => self.places(expr),
            _ => Places::new(),
        }
    }

    /// Notes what the variables of a pattern are. A name that is used again means both.
    fn bind(&mut self, pattern: &Pat, places: &Places) {
        match pattern {
            Pat::Ident(it) => self.variables.entry(it.ident.to_string()).or_default().extend(places.clone()),
            Pat::Paren(it) => self.bind(&it.pat, places),
            Pat::Reference(it) => self.bind(&it.pat, places),
            Pat::Slice(it) => it.elems.iter().for_each(|part| self.bind(part, places)),
            Pat::Tuple(it) => it.elems.iter().for_each(|part| self.bind(part, places)),
            Pat::TupleStruct(it) => it.elems.iter().for_each(|part| self.bind(part, places)),
            Pat::Struct(it) => {
                for part in &it.fields {
                    let Member::Named(name) = &part.member else { continue };
                    let places = self.field(places, &name.to_string());
                    self.bind(&part.pat, &places);
                }
            }
            Pat::Type(it) => {
                let of_type = self.of_types(&names(&it.ty));
                self.bind(&it.pat, if of_type.is_empty() { places } else { &of_type });
            }
            _ => {}
        }
    }

    fn read_function(&mut self, signature: &Signature, block: &Block) {
        self.variables.clear();
        self.variables.insert("self".to_string(), self.own.clone());
        for input in &signature.inputs {
            if let FnArg::Typed(input) = input {
                let places = self.of_types(&names(&input.ty));
                self.bind(&input.pat, &places);
            }
        }
        self.visit_block(block);
        let ReturnType::Type(_, ty) = &signature.output else { return };
        let types = names(ty);
        let mut returned = self.of_types(&types);
        if types.iter().any(|name| name == "Count") {
            returned.extend(self.tail(block));
        }
        if !returned.is_empty() {
            self.returned.entry(signature.ident.to_string()).or_default().extend(returned);
        }
    }

    fn write(&mut self, places: Places) {
        self.written.extend(places.into_iter().filter_map(|place| match place {
            Place::Counter(name) => Some(name),
            Place::Struct(_) => None,
        }));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.own = self.of_types(&names(&item.self_ty));
        visit::visit_item_impl(self, item);
        self.own.clear();
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.read_function(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.read_function(&function.sig, &function.block);
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        let Some(init) = &local.init else { return };
        match (&local.pat, &*init.expr) {
            (Pat::Tuple(parts), Expr::Tuple(values)) => {
                for (part, value) in parts.elems.iter().zip(&values.elems) {
                    let places = self.places(value);
                    self.bind(part, &places);
                }
            }
            (pattern, value) => {
                let places = self.places(value);
                self.bind(pattern, &places);
            }
        }
    }

    fn visit_expr_let(&mut self, it: &'ast syn::ExprLet) {
        let places = self.places(&it.expr);
        self.bind(&it.pat, &places);
        visit::visit_expr_let(self, it);
    }

    fn visit_expr_for_loop(&mut self, it: &'ast syn::ExprForLoop) {
        let places = self.places(&it.expr);
        self.bind(&it.pat, &places);
        visit::visit_expr_for_loop(self, it);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let receiver = self.places(&call.receiver);
        for argument in &call.args {
            if let Expr::Closure(closure) = argument {
                closure.inputs.iter().for_each(|input| self.bind(input, &receiver));
            }
        }
        visit::visit_expr_method_call(self, call);
        if ["add", "set", "push"].iter().any(|name| call.method == name) {
            self.write(receiver);
        }
    }

    fn visit_expr_binary(&mut self, it: &'ast syn::ExprBinary) {
        if matches!(it.op, BinOp::AddAssign(_)) {
            self.write(self.places(&it.left));
        }
        visit::visit_expr_binary(self, it);
    }
}

struct Maker<'a> {
    name: &'a str,
    made: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Maker<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let parts: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
        if let [.., name, variant] = &parts[..]
            && name == self.name
        {
            self.made.insert(variant.clone());
        }
    }

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        if !matches!(pattern, Pat::Path(_)) {
            visit::visit_pat(self, pattern);
        }
    }

    fn visit_expr_binary(&mut self, it: &'ast syn::ExprBinary) {
        if !matches!(it.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            visit::visit_expr_binary(self, it);
        }
    }
}
