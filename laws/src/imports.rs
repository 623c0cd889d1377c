//! Who imports whom: a crate's files as a graph, read from the text of their modules.
//!
//! A file imports the file that *defines* a name it uses, by `use` or by a path in the code; a re-export on the way is
//! followed. Neither `mod x;` nor a re-export from a module's own children is an import, and tests import nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::Texts;

/// What each file imports: the other file, and the first name that it takes from there.
pub type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The imports of a crate's files, from its root file down.
///
/// # Panics
/// When a file is not there or is not Rust.
pub fn imports(root: &str, texts: &Texts) -> Imports {
    let mut reader = Reader { texts, modules: Vec::new() };
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    reader.read_file(root, folder, None);
    let modules = Modules(reader.modules);
    let mut imports = Imports::new();
    for at in 0..modules.0.len() {
        let (file, module) = (&modules.0[at].file, &modules.0[at]);
        let taken = imports.entry(file.clone()).or_default();
        let uses = module.uses.iter().filter(|import| !import.is_reexport).map(|import| &import.path);
        for path in uses.chain(&module.globs).chain(&module.paths) {
            if let Some(Target::File(other)) = modules.resolve(at, path, 0)
                && other != *file
            {
                taken.entry(other).or_insert_with(|| path.join("::"));
            }
        }
    }
    imports
}

/// Groups of files that import each other in a circle, each in order of names.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reached_from(file, imports))).collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        let circle: Vec<String> =
            others.iter().filter(|other| reached[*other].contains(file)).map(ToString::to_string).collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The files that a file imports, and those that they import, and so on.
fn reached_from<'a>(file: &String, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = imports[file].keys().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(imports[next].keys());
        }
    }
    reached
}

/// `use PATH as NAME`.
struct Use {
    name: String,
    path: Vec<String>,
    /// It passes on what one of the module's own children has.
    is_reexport: bool,
}

#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    defined: HashSet<String>,
    uses: Vec<Use>,
    globs: Vec<Vec<String>>,
    /// Paths in the code.
    paths: BTreeSet<Vec<String>>,
}

struct Reader<'a> {
    texts: &'a Texts,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Reads the module that a file is; its children's files are in `folder`.
    fn read_file(&mut self, file: &str, folder: &str, parent: Option<usize>) -> usize {
        let text = self.texts.get(file).unwrap_or_else(|| panic!("{file} is not there"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_items(file, folder, parent, &parsed.items)
    }

    fn read_items(&mut self, file: &str, folder: &str, parent: Option<usize>, items: &[Item]) -> usize {
        let number = self.modules.len();
        self.modules.push(Module { file: file.to_string(), parent, ..Module::default() });
        for item in items {
            match item {
                Item::Mod(module) if is_test(&module.attrs) => {}
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let inner = format!("{folder}/{name}");
                    let child = match &module.content {
                        Some((_, items)) => self.read_items(file, &inner, Some(number), items),
                        None => {
                            let flat = format!("{inner}.rs");
                            let deep = format!("{inner}/mod.rs");
                            let child = if self.texts.contains_key(&flat) { flat } else { deep };
                            self.read_file(&child, &inner, Some(number))
                        }
                    };
                    self.modules[number].children.insert(name, child);
                }
                item => self.modules[number].visit_item(item),
            }
        }
        let module = &mut self.modules[number];
        for import in &mut module.uses {
            let first = import.path.iter().find(|part| *part != "self");
            import.is_reexport &= first.is_some_and(|first| module.children.contains_key(first));
        }
        number
    }
}

impl Module {
    fn add_use(&mut self, tree: &UseTree, before: &[String], is_public: bool) {
        let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let import = |name: String, path| Use { name, path, is_reexport: is_public };
        match tree {
            UseTree::Path(path) => self.add_use(&path.tree, &with(&path.ident), is_public),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_use(tree, before, is_public))
            }
            UseTree::Glob(_) => self.globs.push(before.to_vec()),
            UseTree::Rename(rename) => self.uses.push(import(rename.rename.to_string(), with(&rename.ident))),
            UseTree::Name(name) if name.ident == "self" => {
                self.uses.extend(before.last().map(|last| import(last.clone(), before.to_vec())));
            }
            UseTree::Name(name) => self.uses.push(import(name.ident.to_string(), with(&name.ident))),
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.defined.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.add_use(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.paths.insert(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    /// What a macro makes of its tokens is not known; the paths among them are taken as they stand.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let text = call.tokens.to_string().replace(" :: ", "::").replace(":: ", "::").replace(" ::", "::");
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':');
        let paths = words.map(|word| word.split("::").map(ToString::to_string).collect::<Vec<_>>());
        self.paths.extend(paths.filter(|path| path.len() > 1 && path.iter().all(|part| !part.is_empty())));
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

/// Whether something is for tests alone.
pub(crate) fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        let words = attribute.meta.require_list().map(|list| list.tokens.to_string());
        attribute.path().is_ident("cfg") && words.is_ok_and(|words| words == "test")
    };
    attributes.iter().any(is_test)
}

/// What a path leads to.
enum Target {
    Module(usize),
    File(String),
}

struct Modules(Vec<Module>);

/// How many re-exports a path may lead through.
const HOPS_MAX: usize = 8;

impl Modules {
    /// What a path in a module leads to; none if it leads out of the crate, or is no path but a variable's name.
    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.0[from].parent?,
            _ => return self.member(from, path, false, hops),
        };
        if rest.first().is_some_and(|next| next == "super") {
            return self.resolve(start, rest, hops);
        }
        self.member(start, rest, true, hops)
    }

    /// What a name of a module leads to. A name not seen, which a macro may define, is the module's own if `is_here`.
    fn member(&self, at: usize, path: &[String], is_here: bool, hops: usize) -> Option<Target> {
        let module = &self.0[at];
        let Some((name, rest)) = path.split_first() else { return Some(Target::Module(at)) };
        if let Some(&child) = module.children.get(name) {
            return self.member(child, rest, true, hops);
        }
        if module.defined.contains(name) {
            return Some(Target::File(module.file.clone()));
        }
        if hops == HOPS_MAX {
            return None;
        }
        if let Some(import) = module.uses.iter().find(|import| import.name == *name) {
            let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
            return self.resolve(at, &whole, hops + 1);
        }
        let globs = module.globs.iter().filter_map(|glob| self.resolve(at, glob, hops + 1));
        let mut found = globs.filter_map(|target| match target {
            Target::Module(module) => self.member(module, path, false, hops + 1),
            Target::File(_) => None,
        });
        found.next().or_else(|| is_here.then(|| Target::File(module.file.clone())))
    }
}
