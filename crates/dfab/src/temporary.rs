//! Temporary folders on machines. They go with the task that made them; where the user stops the run at once, and the
//! task can do nothing any more, with the run (cli §6: nothing temporary is left behind).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::console::Console;
use crate::failure::{Kind, Result};
use crate::machine::Machine;
use crate::project::Host;

/// Time for the folders of a run that is stopped at once. The user waits for it.
const LIMIT: Duration = Duration::from_secs(5);

/// Time for a command that was given up to end: what it still writes keeps its folder from going.
const AGAIN: Duration = Duration::from_millis(300);

/// The temporary folders of a run that are there at the moment.
#[derive(Default)]
pub struct Folders(Mutex<Vec<Folder>>);

/// A temporary folder on a machine.
#[derive(Clone)]
pub struct Folder {
    machine: Machine,
    host: Option<Host>,
    /// Its path there.
    pub path: String,
}

impl Folders {
    /// Makes a folder that nobody else can look into; it must not exist. It stays until [`Folders::remove`].
    ///
    /// # Errors
    ///
    /// As [`Machine::make_dir`].
    pub async fn make(&self, machine: &Machine, host: Option<&Host>, path: &str) -> Result<()> {
        // There is nothing to be removed from a host that cannot be reached, and nobody should wait for it again.
        machine.connect().await?;
        let folder = self.expect(machine, host, path);
        let made = machine.make_dir(path).await;
        if made.as_ref().is_err_and(|failure| failure.kind == Kind::Task) {
            // What the machine refused to make is not ours. Of a connection that broke nothing is known.
            self.forget(&folder);
        }
        made
    }

    /// A folder is about to be made by another's hand, on a machine that is connected.
    pub fn expect(&self, machine: &Machine, host: Option<&Host>, path: &str) -> Folder {
        let folder = Folder { machine: machine.clone(), host: host.cloned(), path: path.to_owned() };
        self.lock().push(folder.clone());
        folder
    }

    /// A folder is gone, or is none of ours.
    pub fn forget(&self, gone: &Folder) {
        self.lock().retain(|folder| folder.path != gone.path || folder.host != gone.host);
    }

    /// Removes a folder from all machines on which it was made. Failing to is never fatal, but never silent either
    /// (clients-tasks §12.2).
    pub async fn remove(&self, path: &str, console: &Console) {
        for folder in self.there(|folder| folder.path == path) {
            if let Err(failure) = folder.machine.remove_dir(path).await {
                folder.is_left(console, &failure.causes.join(": "));
            }
            self.forget(&folder);
        }
    }

    /// Removes all that are left, after everything else was given up.
    pub async fn remove_all(&self, console: &Console) {
        let removing = self.there(|_| true).into_iter().map(|folder| async move {
            let mut why = "the host does not answer".to_owned();
            let removing = async {
                while let Err(failure) = folder.machine.remove_dir(&folder.path).await {
                    why = failure.causes.join(": ");
                    tokio::time::sleep(AGAIN).await;
                }
            };
            if tokio::time::timeout(LIMIT, removing).await.is_err() {
                folder.is_left(console, &why);
            }
            self.forget(&folder);
        });
        futures_util::future::join_all(removing).await;
    }

    fn there(&self, which: impl Fn(&Folder) -> bool) -> Vec<Folder> {
        self.lock().iter().filter(|folder| which(folder)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Folder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn is_left(&self, console: &Console, why: &str) {
        let host = self.host.as_ref().map(|host| host.text.as_str());
        console.warn(host, &format!("`{}` could not be removed: {why}", self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;
    use crate::machine::temporary_name;

    fn console() -> Console {
        Console::new(&Options { quiet: true, ..Options::default() })
    }

    #[tokio::test]
    async fn a_folder_goes_with_its_task_and_the_rest_with_the_run() {
        let folders = Folders::default();
        let names = [0, 1].map(|_| temporary_name().to_string_lossy().into_owned());
        for name in &names {
            folders.make(&Machine::here(), None, name).await.unwrap();
            std::fs::write(format!("{name}/x.sh"), "exit").unwrap();
        }
        let are_there = || names.each_ref().map(|name| std::path::Path::new(name).exists());
        folders.remove(&names[0], &console()).await;
        assert_eq!(are_there(), [false, true]);
        folders.remove_all(&console()).await;
        assert_eq!(are_there(), [false, false]);
        assert!(folders.there(|_| true).is_empty());
    }

    /// The name is somebody's else then.
    #[tokio::test]
    async fn a_folder_that_was_there_is_not_removed() {
        let folders = Folders::default();
        let found = tempfile::tempdir().unwrap();
        let name = found.path().to_string_lossy().into_owned();
        folders.make(&Machine::here(), None, &name).await.unwrap_err();
        folders.remove_all(&console()).await;
        assert!(found.path().exists());
    }
}
