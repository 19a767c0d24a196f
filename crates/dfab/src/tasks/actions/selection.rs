//! From the words of a call to the items it means (cli §1.1, clients-tasks §9.2).

use std::collections::BTreeSet;

use dfab_map::diagnostic::{Findings, Sources};
use dfab_map::item::ItemId;
use dfab_map::select::{Maps, Reference, select};

use crate::cli::Arguments;
use crate::failure::{Failure, Result};
use crate::project::unknown_map;
use crate::run::{LoadedMaps, Run};

/// The items that the words of a call mean, and the maps they are from.
pub struct Selection {
    /// The maps of the project.
    pub loaded: LoadedMaps,
    /// What is selected.
    pub items: Vec<ItemId>,
    /// Map of configurations that are named without one.
    pub default_map: Option<String>,
    /// The instances of the keyword.
    pub instances: Vec<String>,
}

impl Selection {
    /// Reads `[MAP] CONFIG [INSTANCE]...` and the keywords `map_name` and `instances`.
    ///
    /// # Errors
    ///
    /// A configuration failure for names that do not exist, and for maps that are wrong.
    pub async fn read(run: &Run, arguments: &Arguments) -> Result<Self> {
        Self::of_words(run, arguments, arguments.list("target")).await
    }

    /// As [`Selection::read`], from these words.
    ///
    /// # Errors
    ///
    /// As [`Selection::read`].
    pub async fn of_words(run: &Run, arguments: &Arguments, words: &[String]) -> Result<Self> {
        // `map,config,i1;i2` names several instances in one word.
        let words: Vec<String> = words
            .iter()
            .flat_map(|word| {
                word.split(';').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
            })
            .collect();
        let default_map = arguments.text("map_name").filter(|name| !name.is_empty()).map(str::to_owned);
        let instances = arguments.list("instances").to_vec();
        if words.is_empty() {
            return Err(Failure::usage("no configuration is named")
                .hint("name a configuration or a group of a map, or `__all__`"));
        }
        let named: Vec<String> = words.iter().cloned().chain(default_map.clone()).collect();
        let mut loaded = run.load_maps(&named);
        loaded.fail_if_named(&named)?;
        no_map_at_all(run, &loaded, &words)?;
        let sources = loaded.sources.clone();
        let wrong = |findings: Findings| unknown_names(findings, &loaded.maps, &sources, run);
        mistyped_map(run, &loaded.maps, &words)?;
        let reference =
            Reference::words(&loaded.maps, &words).map_err(|finding| wrong(Findings(vec![finding])))?;
        if let Some(name) = &default_map
            && !loaded.maps.contains_key(name.as_str())
        {
            return Err(unknown_map(&run.project, name));
        }
        let items = select(&loaded.maps, &[reference], default_map.as_deref(), &instances).map_err(wrong)?;
        loaded.check(run, items.iter().map(|item| item.map.as_str())).await?;
        Ok(Self { loaded, items, default_map, instances })
    }

    /// Returns the name of the map, when all items are of one.
    pub fn map(&self) -> Option<String> {
        let maps: BTreeSet<&str> = self.items.iter().map(|item| item.map.as_str()).collect();
        match maps.len() {
            1 => maps.first().map(|name| (*name).to_owned()),
            _ => None,
        }
    }
}

/// Fails when there is no map that the words could mean.
fn no_map_at_all(run: &Run, loaded: &LoadedMaps, words: &[String]) -> Result<()> {
    if !loaded.maps.is_empty() {
        return Ok(());
    }
    let first = words.first().map_or("", |word| word.split('.').next().unwrap_or(word));
    Err(unknown_map(&run.project, first))
}

/// Fails when the first word must be a map, or is no configuration either, and a map has nearly its
/// name: the likelier mistake is said.
fn mistyped_map(run: &Run, maps: &Maps, words: &[String]) -> Result<()> {
    let Some(first) = words.first() else { return Ok(()) };
    let (name, more) = match first.split_once('.') {
        Some((name, _)) => (name, true),
        None => (first.as_str(), words.len() > 1),
    };
    let is_known = name == dfab_map::names::ALL
        || maps.contains_key(name)
        || maps.values().any(|map| map.containers.contains_key(name) || map.groups.contains_key(name));
    let near = dfab_map::diagnostic::nearest(name, maps.keys().map(|name| name.as_str()));
    if more && !is_known && near.is_some() { Err(unknown_map(&run.project, name)) } else { Ok(()) }
}

/// Turns findings about names of a call into a failure. A single one is said as a message; nothing
/// points into a file then.
fn unknown_names(findings: Findings, maps: &Maps, sources: &Sources, run: &Run) -> Failure {
    let Findings(mut list) = findings;
    if list.len() == 1
        && let Some(finding) = list.pop()
    {
        let mut failure = Failure::configuration(finding.message);
        failure.hints.extend(finding.hint);
        if failure.hints.is_empty() && maps.len() > 1 {
            let names = run.project.map_names();
            failure = failure.hint(format!("configured maps: {}", crate::text::list(&names, 12)));
        }
        return failure;
    }
    Failure::findings("names in the call do not exist", Findings(list), sources.clone())
}
