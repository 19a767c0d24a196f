//! Expansion, typed resolution, layered options.

use super::*;
use crate::position::Position;
use crate::value::{At, Tables};

fn tables() -> Tables {
    let mut tables = Tables::default();
    tables.variables.insert("port".to_owned(), Value::from(8080));
    tables.variables.insert("user".to_owned(), Value::List(vec![Value::from("app"), Value::from("web")]));
    tables.variables.insert("options".to_owned(), Value::Mapping([("b".to_owned(), Value::from(2))].into()));
    tables.environment.insert("SITE".to_owned(), "/srv/site".to_owned());
    tables.homes.insert(String::new(), "/home/u".to_owned());
    tables.homes.insert("eve".to_owned(), "/home/eve/".to_owned());
    tables
}

fn env(name: &str) -> Lazy {
    Lazy::Env(name.to_owned(), At(Some(Position::new("m.yaml", 3, 5))))
}

#[test]
fn map_model_10_3_path_expansion() {
    let cases = [
        ("$SITE/x", Ok("/srv/site/x")),
        ("${SITE}/x", Ok("/srv/site/x")),
        ("~/x", Ok("/home/u/x")),
        ("~", Ok("/home/u")),
        ("~eve/x", Ok("/home/eve/x")),
        ("a/~/x", Ok("a/~/x")),
        ("$$SITE", Ok("$/srv/site")),
        ("100$", Ok("100$")),
        ("${SITE", Ok("${SITE")),
        ("", Ok("")),
        ("$NOPE/x", Err("environment variable `NOPE` is not set")),
        ("~mallory", Err("user `mallory` has no known home directory")),
    ];
    for (text, expected) in cases {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(expand_path(text, &tables()), expected, "{text}");
    }
}

#[test]
fn late_values_become_what_their_position_needs() {
    let tables = tables();
    assert_eq!(Late::<u16>::Lazy(env("port").into()).resolve(&tables, "exposes.80/tcp"), Ok(8080));
    assert_eq!(
        Late::<String>::Lazy(env("port").into()).resolve(&tables, "default_tag").as_deref(),
        Ok("8080")
    );
    let user = Late::<User>::Lazy(env("user").into()).resolve(&tables, "user").unwrap();
    assert_eq!(user.ownership(), "app:web");
    let path = Lazy::Path("$SITE/x".to_owned(), At::default());
    assert_eq!(Late::<String>::Lazy(path.into()).resolve(&tables, "host_root").as_deref(), Ok("/srv/site/x"));
}

#[test]
fn what_cannot_be_resolved_names_variable_property_and_position() {
    let tables = tables();
    let missing = Late::<u16>::Lazy(env("nope").into()).resolve(&tables, "exposes.80/tcp").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "m.yaml:3:5: deployment variable `nope` is not set, needed for `exposes.80/tcp`"
    );
    let unfit = Late::<bool>::Lazy(env("port").into()).resolve(&tables, "exposes.80/tcp").unwrap_err();
    assert_eq!(
        unfit.to_string(),
        "m.yaml:3:5: deployment variable `port` is a number, expected true or false, needed for `exposes.80/tcp`"
    );
}

#[test]
fn option_layers_update_key_by_key() {
    let known = |key: &str, value: i64| Late::Known([(key.to_owned(), Value::from(value))].into());
    let mut options = Options::default();
    options.push(known("a", 1));
    options.push(known("b", 1));
    assert_eq!(options.layers().len(), 1, "neighbouring known layers are one");
    options.push(Late::Lazy(Box::new(env("options"))));
    options.push(known("c", 3));
    let all = options.resolve(&tables(), "create_options").unwrap();
    assert_eq!(
        all,
        IndexMap::from([("a".to_owned(), 1.into()), ("b".to_owned(), 2.into()), ("c".to_owned(), 3.into())])
    );
}
