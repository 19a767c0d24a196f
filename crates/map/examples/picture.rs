//! Draws a map: `cargo run -p dfab-map --example picture -- MAP.yaml [svg|dot|mermaid] > map.svg`.
#![allow(clippy::print_stdout, reason = "the picture is the output of this program")]

use dfab_map::diagnostic::Findings;
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::Clients;
use dfab_map::picture::Diagram;
use dfab_map::value::Tables;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which map? give its file")?;
    let text = std::fs::read_to_string(&file)?;
    println!("{}", draw(&text, &file, arguments.next().as_deref())?);
    Ok(())
}

fn draw(text: &str, file: &str, format: Option<&str>) -> Result<String, Findings> {
    let lookup = Tables::default();
    let loaded = load::map(text, &LoadOptions { file, name: None, lookup: &lookup })?;
    let map = dfab_map::extend::extended(&loaded.value)?;
    let diagram = Diagram::new(&map, &Clients::new());
    Ok(match format {
        Some("dot") => diagram.dot(),
        Some("mermaid") => diagram.mermaid(),
        _ => diagram.svg(),
    })
}
