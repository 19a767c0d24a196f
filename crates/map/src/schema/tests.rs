//! The schema against everything that is known to be right or wrong.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::load::tests::forms::{Case, cases};
use crate::yaml::{self, Content, Node, ScalarKind};

/// The JSON that an editor sees: tags are passed over.
fn to_json(node: &Node) -> Value {
    match &node.content {
        Content::List(items) => items.iter().map(to_json).collect(),
        Content::Mapping(entries) => {
            entries.iter().map(|entry| (entry.key.text.to_string(), to_json(&entry.value))).collect()
        }
        Content::Scalar(scalar) if node.tag.is_some() => json!(scalar.text.as_str()),
        Content::Scalar(scalar) => match scalar.kind() {
            ScalarKind::Null => Value::Null,
            ScalarKind::Bool(value) => json!(value),
            ScalarKind::Number => scalar
                .text
                .parse::<i64>()
                .map_or_else(|_| json!(scalar.text.parse::<f64>().ok()), |n| json!(n)),
            ScalarKind::OldBool(_) | ScalarKind::Text => json!(scalar.text.as_str()),
        },
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("no valid schema: {error}"));
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{error}"))
}

struct Schemas {
    map: Validator,
    clients: Validator,
}

impl Schemas {
    fn new() -> Self {
        Self { map: validator(&super::map()), clients: validator(&super::clients()) }
    }

    fn of(&self, case: &Case) -> &Validator {
        if case.property().starts_with("client.") { &self.clients } else { &self.map }
    }
}

fn complaints(validator: &Validator, text: &str) -> Vec<String> {
    let json = to_json(&yaml::parse(text, "f.yaml").expect("the case is YAML"));
    validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_accepted_form_satisfies_the_schema() {
    let schemas = Schemas::new();
    let mut wrong = Vec::new();
    // What loads with a warning is what an editor should mark too; eager tags may stand for any type.
    let plain = |case: &&Case| {
        !case.is_refused() && !case.expected.contains("; warning:") && !case.form.contains("!env ")
    };
    for case in cases().iter().filter(plain) {
        let complaints = complaints(schemas.of(case), &case.document());
        if !complaints.is_empty() {
            wrong.push(format!("{} {}: {}", case.section, case.form, complaints.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_refused_form_breaks_the_schema_unless_its_rule_is_beyond_one() {
    let schemas = Schemas::new();
    let beyond = [
        // Whether a value is late is not seen by editors; nor is whether a variable is set.
        "is not possible here",
        "is not set",
        "takes the name of a variable",
        // A relative path or a text may be the variable of a late value.
        "is no absolute path",
        "is no path inside the container",
        "expected a mapping of options",
        "is a path, where",
        // A number and its text differ in JSON.
        "instance `1` is given twice",
        // Validity inside a text.
        "is no image reference",
        "is not an IPv4 address",
        "is not an IPv6 address",
        "expected an IPv4 address",
        "expected an IPv6 address",
        "is no signal",
        "did you mean `SIGTERM`?",
        "out of range",
    ];
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.is_refused()) {
        let known = beyond.iter().any(|message| case.expected.contains(message));
        if !known && complaints(schemas.of(case), &case.document()).is_empty() {
            wrong.push(format!("{} {} => {}", case.section, case.form, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{} refused forms satisfy the schema:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_examples_satisfy_the_schema() {
    let schemas = Schemas::new();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let mut checked = 0;
    for folder in std::fs::read_dir(examples).expect("the repository has examples").flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".yaml") || name == "dfab.yaml" {
                continue;
            }
            let text = std::fs::read_to_string(file.path()).expect("an example is readable");
            let validator = if name.contains("clients") { &schemas.clients } else { &schemas.map };
            assert_eq!(complaints(validator, &text), Vec::<String>::new(), "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 3, "only {checked} example files were found");
}

#[test]
fn every_key_has_a_schema_of_its_own() {
    let schema = super::map();
    let described = |properties: &Value| {
        properties
            .as_object()
            .expect("properties")
            .iter()
            .all(|(_, schema)| schema.get("description").is_some())
    };
    assert!(described(&schema["properties"]));
    assert!(described(&schema["$defs"]["container"]["anyOf"][1]["properties"]));
    assert!(described(&super::clients()["additionalProperties"]["anyOf"][1]["properties"]));
}
