//! The corpus that fuzzing has kept: what must hold for every text holds for these (`cargo xtask fuzz`).

#[path = "../examples/fuzz/properties.rs"]
mod properties;

use std::path::Path;

#[test]
fn the_kept_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = properties::corpus(&folder).unwrap();
    assert!(corpus.len() > 50, "only {} texts", corpus.len());
    let broken: Vec<String> = corpus
        .iter()
        .filter_map(|text| properties::hold(text).err().map(|problem| format!("{problem}\n{text}")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n---\n"));
}
