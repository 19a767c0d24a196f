//! The command line: from words to task calls (cli §1). Nothing here reads a file.

pub mod arguments;
pub mod call;
pub mod options;
pub mod parse;

pub use arguments::Arguments;
pub use call::Call;
pub use options::Options;
