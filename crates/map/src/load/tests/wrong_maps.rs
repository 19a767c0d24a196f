//! What users see for wrong maps: `wrong_maps.txt`, one snapshot a map.
//!
//! A map starts after a line `=== name (section)`. What loads is checked as well.

use super::*;

#[test]
fn users_see_what_is_wrong() {
    let text = include_str!("wrong_maps.txt");
    let maps: Vec<(&str, &str)> = text
        .split("=== ")
        .skip(1)
        .map(|part| part.split_once('\n').expect("a title stands on its own line"))
        .collect();
    assert!(maps.len() >= 30, "only {} maps", maps.len());
    for (title, document) in maps {
        let findings = match load(document) {
            Err(findings) => findings,
            Ok(loaded) => {
                let mut found = loaded.warnings;
                found.extend(crate::check::check_written(&loaded.value, crate::check::Options::default()));
                let mut found = Findings(found);
                loaded.sources.fill_all(&mut found);
                found
            }
        };
        assert!(!findings.0.is_empty(), "`{title}` is not wrong");
        let name: String = title
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect();
        insta::with_settings!({description => title, omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(format!("wrong_map_{name}"), shown(&findings));
        });
    }
}
