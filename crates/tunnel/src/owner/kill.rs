//! Signals to remote processes, by a command on a channel of its own.

use crate::{Signal, quote};

/// A process group to end by another channel: its number, the signal, and whether to use force when
/// that does not help within two seconds.
pub(super) type Kill = (u32, Signal, bool);

/// A command that sends a signal to a process group. Servers send signals themselves only for users
/// that are not root, and not all of them do.
///
/// The signal is sent twice, because a shell that is about to become another program forgets it.
pub(super) fn kill_command((group, signal, force): Kill) -> Vec<u8> {
    const KILL: &str = r#"
# A group that is about to be made is there a moment later.
kill -s "$2" -- "-$1" 2>/dev/null || { sleep 1; kill -s "$2" -- "-$1" 2>/dev/null; } || exit 0
for turn in 1 2 3 4 5 6 7 8 9 10; do
  sleep 0.2 2>/dev/null || sleep 1
  kill -s 0 -- "-$1" 2>/dev/null || exit 0
  [ $turn = 1 ] && kill -s "$2" -- "-$1"
done
[ "$3" = force ] && kill -s KILL -- "-$1"
"#;
    let force = if force { "force" } else { "ask" };
    quote::command(["sh", "-c", KILL, "sh", &group.to_string(), signal.name(), force]).into_bytes()
}
