//! A TCP proxy that adds a round-trip time, for the kernels that cannot delay packets themselves.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Starts a proxy on a free port of 127.0.0.1 that lives as long as this program. Returns its port.
///
/// Each direction is late by half of `round_trip`; as much as the connection takes may be on its way at once.
pub fn start(target: SocketAddr, round_trip: Duration) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port for the delaying proxy")?;
    let port = listener.local_addr().context("no address of the delaying proxy")?.port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || forward(&client, target, round_trip / 2));
        }
    });
    Ok(port)
}

/// Forwards one connection. An error of either side ends it, as it would without us.
fn forward(client: &TcpStream, target: SocketAddr, delay: Duration) -> std::io::Result<()> {
    // A connection takes one round trip to open.
    std::thread::sleep(delay * 2);
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_copy, server_copy) = (client.try_clone()?, server.try_clone()?);
    let there = std::thread::spawn(move || one_way(client_copy, server_copy, delay));
    one_way(server, client.try_clone()?, delay);
    // Both ways have ended, or the other one does with its connection.
    let _ = there.join();
    Ok(())
}

fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    for (due, bytes) in receiver {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The peer may be gone already.
    let _ = to.shutdown(Shutdown::Write);
    let _ = reader.join();
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn bytes_go_through_late_and_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = echo.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().unwrap();
            let mut copy = stream.try_clone().unwrap();
            std::io::copy(&mut copy, &mut stream)
        });
        let round_trip = Duration::from_millis(40);
        let port = super::start(address, round_trip).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"first").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"first");

        let started = Instant::now();
        for _ in 0..3 {
            stream.write_all(b"again").unwrap();
            stream.read_exact(&mut answer).unwrap();
        }
        assert_eq!(&answer, b"again");
        assert!(started.elapsed() >= round_trip * 3, "{:?}", started.elapsed());
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut answer).unwrap(), 0, "the end goes through, too");
    }
}
