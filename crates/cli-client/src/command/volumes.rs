//! Volumes: `docker volume …`.

use dfab_map::spec::VolumeSpec;

use super::words::Words;
use super::{Built, Command};

/// `docker volume create [flags] NAME`; the output is the name.
pub fn create_volume(spec: &VolumeSpec) -> Built {
    let mut words = Words::new("volume create");
    if !spec.driver.is_empty() {
        words.flag("driver", &spec.driver);
    }
    words.entries("opt", &spec.driver_opts);
    words.entries("label", &spec.labels).entries("label", &spec.own_labels);
    words.positional(&spec.name)?;
    Ok(Command::action(format!("create volume `{}`", spec.name), words))
}

/// `docker volume rm NAME`.
pub fn remove_volume(volume: &str) -> Built {
    let mut words = Words::new("volume rm");
    words.positional(volume)?;
    Ok(Command::action(format!("remove volume `{volume}`"), words))
}

/// `docker volume ls --quiet`, then `docker volume inspect` of all: a JSON array. Volume names have
/// no blanks.
pub fn list_volumes() -> Command {
    let mut words = Words::new("volume ls");
    words.flag("quiet", true);
    Command { then: Some(Words::new("volume inspect").0), ..Command::query("list volumes", words) }
}

/// `docker volume inspect NAME`: a JSON array of one.
pub fn inspect_volume(volume: &str) -> Built {
    let mut words = Words::new("volume inspect");
    words.positional(volume)?;
    Ok(Command::query(format!("inspect volume `{volume}`"), words))
}

/// `docker volume inspect --format={{.Mountpoint}} NAME`: its folder on the engine's host.
pub fn volume_folder(volume: &str) -> Built {
    let mut words = Words::new("volume inspect");
    words.flag("format", "{{.Mountpoint}}").positional(volume)?;
    Ok(Command::query(format!("prepare volume `{volume}`"), words))
}
