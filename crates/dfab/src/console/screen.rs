//! The terminal as indicatif draws on it, with the cursor behind the last text instead of at the right edge.
//!
//! indicatif fills each line with blanks up to the edge and lets the terminal wrap. The `^C` that a terminal writes when
//! the keys are pressed goes to the next line then, and with the cursor one line further down than indicatif thinks, one
//! line would stay on the screen for ever.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

/// Standard error as a screen. What is drawn at once is written at once.
#[derive(Debug)]
pub struct Screen {
    width: usize,
    pending: Mutex<Pending>,
}

/// What is not yet written.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// A line is complete: more text belongs to the next one.
    line_ended: bool,
}

impl Screen {
    /// Makes the screen of a terminal with this width.
    pub fn new(width: usize) -> Self {
        Self { width, pending: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what moves the cursor or ends a line by itself.
    fn control(&self, text: &str) -> io::Result<()> {
        let mut pending = self.lock();
        pending.line_ended = false;
        pending.bytes.write_all(text.as_bytes())
    }

    /// Control sequence of ECMA-48: so many cells in a direction. Zero would count as one.
    fn go(&self, cells: usize, direction: char) -> io::Result<()> {
        if cells == 0 { Ok(()) } else { self.control(&format!("\u{1b}[{cells}{direction}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.width).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        terminal_size::terminal_size_of(io::stderr()).map_or(24, |(_, terminal_size::Height(rows))| rows)
    }

    fn move_cursor_up(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'A')
    }

    fn move_cursor_down(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'B')
    }

    fn move_cursor_right(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'C')
    }

    fn move_cursor_left(&self, cells: usize) -> io::Result<()> {
        self.go(cells, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.control(&format!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text == "\r" {
            return self.control(text);
        }
        let mut pending = self.lock();
        // Blanks alone fill a line up to the edge, perhaps none: what stood there goes, and the line is complete.
        if text.trim_start_matches(' ').is_empty() {
            pending.line_ended = true;
            return pending.bytes.write_all(b"\x1b[K");
        }
        if std::mem::take(&mut pending.line_ended) {
            pending.bytes.push(b'\n');
        }
        pending.bytes.write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.control("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.lock().bytes);
        let mut stderr = io::stderr().lock();
        stderr.write_all(&bytes)?;
        stderr.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_are_filled() {
        let screen = Screen::new(10);
        screen.clear_line().unwrap();
        for text in ["one", "       ", "two", "", "three", "     "] {
            screen.write_str(text).unwrap();
        }
        screen.move_cursor_up(2).unwrap();
        screen.write_str("\r").unwrap();
        screen.write_str("four").unwrap();
        let written = String::from_utf8(std::mem::take(&mut screen.lock().bytes)).unwrap();
        assert_eq!(written, "\r\u{1b}[2Kone\u{1b}[K\ntwo\u{1b}[K\nthree\u{1b}[K\u{1b}[2A\rfour");
    }
}
