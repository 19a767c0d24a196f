//! Ports on 127.0.0.1 that lead to remote engines, for other programs (clients-tasks §2.5, design §5).
//!
//! dfab itself needs none; one is offered where `docker_tunnel_local_port` or a client's
//! `tunnel_local_port` asks for it. Ports count up over the whole run, as in the source systems.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dfab_client::Connector;
use tokio::task::JoinHandle;

use crate::console::Console;
use crate::failure::{Failure, Kind, Result};

/// How many busy ports are passed over.
const ATTEMPTS: u16 = 100;

/// The local ports of a run.
#[derive(Default)]
pub struct LocalPorts {
    /// How many were given out, busy ones included.
    counter: AtomicU16,
    listeners: Mutex<Vec<JoinHandle<()>>>,
}

impl LocalPorts {
    /// Offers the next free port from `start` for an engine, and returns it.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn offer(&self, start: u16, connector: Arc<dyn Connector>, console: Arc<Console>) -> Result<u16> {
        let (listener, port) = self.bind(start)?;
        let failed = |error: io::Error| {
            Failure::new(Kind::Internal, format!("failed to listen on port {port}")).because(&error)
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (connector, console) = (Arc::clone(&connector), Arc::clone(&console));
                // One that fails must not end the others.
                tokio::spawn(async move {
                    match connector.connect().await {
                        Ok(mut remote) => {
                            // A reset by either side is how such connections often end.
                            if let Err(error) = tokio::io::copy_bidirectional(&mut stream, &mut remote).await {
                                tracing::debug!(port, %error, "local connection ended");
                            }
                        }
                        Err(error) => {
                            let causes = crate::failure::chain(error.as_ref()).join(": ");
                            let text = format!("incoming request on local port {port} was rejected: {causes}");
                            console.warn(Some(connector.host()), &text);
                        }
                    }
                });
            }
        });
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        Ok(port)
    }

    fn bind(&self, start: u16) -> Result<(TcpListener, u16)> {
        for _ in 0..=ATTEMPTS {
            let next = self.counter.fetch_add(1, Ordering::Relaxed);
            let Some(port) = start.checked_add(next) else { break };
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Ok((listener, port));
            }
        }
        Err(Failure::new(Kind::Connection, format!("no free local port found from {start}"))
            .hint("set `docker_tunnel_local_port` to another number, or leave it out: dfab itself needs no port"))
    }

    /// Closes all ports.
    pub fn close(&self) {
        for listener in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            listener.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_count_up_and_busy_ones_are_passed_over() {
        let ports = LocalPorts::default();
        // Any start with room above it; what is busy on this machine is passed over.
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let start = busy.local_addr().unwrap().port().min(u16::MAX - 2 * ATTEMPTS);
        let (_first, first_port) = ports.bind(start).unwrap();
        let (_second, second_port) = ports.bind(start).unwrap();
        assert!(first_port >= start && second_port > first_port, "{start} {first_port} {second_port}");
    }
}
