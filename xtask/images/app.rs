//! The example's application: answers HTTP on a Unix socket or a TCP port and says who it is.
//!
//! One file without dependencies; `cargo xtask lab` compiles it into a static binary and makes an image of it.
//! It reads `/var/lib/app/config/app.conf`: `name = …` and `listen = /path/to/socket` or `listen = port`,
//! logs to `/var/lib/app/log/NAME.log` and counts its answers in `/var/lib/app/data/count`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;

const CONFIG: &str = "/var/lib/app/config/app.conf";

fn main() {
    if let Err(error) = run() {
        eprintln!("app: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    end_when_told();
    let config = fs::read_to_string(CONFIG).map_err(|error| format!("cannot read {CONFIG}: {error}"))?;
    let value = |key: &str| {
        config
            .lines()
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
            .ok_or_else(|| format!("{CONFIG} does not set `{key}`"))
    };
    let (name, listen) = (value("name")?, value("listen")?);
    let version = fs::read_to_string("/version").unwrap_or_default().trim().to_owned();
    let host = fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned();
    let app = App { name, version, host, count: Mutex::new(()) };

    println!("app {} version {} listens on {listen}", app.name, app.version);
    if listen.starts_with('/') {
        // A socket of an earlier run would be in the way.
        let _ = fs::remove_file(&listen);
        let listener = UnixListener::bind(&listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        // The web server is in our group; no one else may talk to us.
        fs::set_permissions(&listen, fs::Permissions::from_mode(0o660)).map_err(|error| error.to_string())?;
        serve(&app, listener.incoming())
    } else {
        let listener = TcpListener::bind(format!("0.0.0.0:{listen}"))
            .map_err(|error| format!("cannot listen on port {listen}: {error}"))?;
        serve(&app, listener.incoming())
    }
}

struct App {
    name: String,
    version: String,
    host: String,
    count: Mutex<()>,
}

fn serve<S: Read + Write + Send>(app: &App, connections: impl Iterator<Item = std::io::Result<S>>) -> Result<(), String> {
    std::thread::scope(|scope| {
        for connection in connections {
            let connection = connection.map_err(|error| format!("cannot accept a connection: {error}"))?;
            scope.spawn(move || {
                if let Err(error) = answer(app, connection) {
                    eprintln!("app: cannot answer: {error}");
                }
            });
        }
        Ok(())
    })
}

fn answer<S: Read + Write>(app: &App, connection: S) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut request = String::new();
    connection.read_line(&mut request)?;
    let mut header = String::new();
    while connection.read_line(&mut header)? > 2 {
        header.clear();
    }
    let count = app.count();
    let body = format!("app {} version {} on {} answers, request {count}\n", app.name, app.version, app.host);
    let mut connection = connection.into_inner();
    write!(
        connection,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nX-App: {}\r\n\r\n{body}",
        body.len(),
        app.name
    )?;
    connection.flush()?;
    let log = format!("/var/lib/app/log/{}.log", app.name);
    fs::OpenOptions::new().create(true).append(true).open(log)?.write_all(request.as_bytes())
}

impl App {
    /// Counts answers over restarts and new containers: the data folder belongs to the host.
    fn count(&self) -> u64 {
        let path = "/var/lib/app/data/count";
        let _guard = self.count.lock();
        let count = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u64) + 1;
        if let Err(error) = fs::write(path, format!("{count}\n")) {
            eprintln!("app: cannot write {path}: {error}");
        }
        count
    }
}

/// The first process of a container ignores SIGTERM unless it says otherwise; `docker stop` would wait ten seconds.
fn end_when_told() {
    unsafe extern "C" {
        fn signal(signal: i32, handler: usize) -> usize;
        fn _exit(code: i32) -> !;
    }
    extern "C" fn end(_signal: i32) {
        // SAFETY: `_exit` may be called from a signal handler.
        unsafe { _exit(0) }
    }
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    // SAFETY: the handler only calls `_exit`.
    unsafe {
        signal(SIGTERM, end as extern "C" fn(i32) as usize);
        signal(SIGINT, end as extern "C" fn(i32) as usize);
    }
}
