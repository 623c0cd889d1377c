//! The configuration language: IOS-style text to a typed model and back.
//!
//! [`parse`] reads a file and judges what it says, and the model's `Display` writes it in canonical form, which
//! reads back as the same model. The statements are in families, each with its syntax lines and the functions that carry them out:
//! see [`family`]. The engine that walks such tables, [`grammar`], serves any other command language too.
//!
//! A file is read line by line. A line belongs to the mode that the lines before it opened, or else to the global
//! mode, which it then returns to; indentation means nothing. `no LINE` removes what an earlier line made. Every
//! mistake of a file is reported, and a file with a mistake configures nothing.

mod args;
mod builder;
mod diagnostic;
mod difference;
mod editing;
pub mod family;
mod fixed;
pub mod foreign;
pub mod grammar;
mod interface_name;
mod kept;
mod kind;
mod known;
pub mod lex;
mod lint;
pub mod model;
pub mod names;
mod passed_over;
mod reader;
mod render;
mod seen;
mod syntax;
mod syntax_error;
mod text;

pub use args::{Args, FromValue};
pub use builder::{Apply, Builder, Mode};
pub use diagnostic::{Diagnostic, Severity};
pub use difference::difference;
pub use editing::Editing;
pub use fixed::{marked, needs_restart};
pub use interface_name::InterfaceName;
pub use kept::{Kept, rewritten};
pub use kind::{KINDS, Value};
pub use model::Config;
pub use reader::{Parsed, parse, parse_strictly};
pub use syntax_error::{Expected, SyntaxError};
