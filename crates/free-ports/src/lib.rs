//! Loopback ports to listen on, each given to one taker.
//!
//! Between the choice of a port and the start of who listens on it, others choose and connect. So
//! ports come from below those that the system gives to whoever connects, and each is [`Reserved`]
//! by the UDP port of its number, which nobody here needs and everyone who asks here looks at.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what Linux (from 32768 on) and others give to whoever connects.
const RANGE: Range<u16> = 20_000..32_000;

/// A port that nobody else gets here as long as this lives, in this process or another one.
#[derive(Debug)]
pub struct Reserved {
    port: u16,
    _guard: UdpSocket,
}

impl Reserved {
    /// Any port that is free.
    ///
    /// # Errors
    /// When there is none.
    pub fn any() -> io::Result<Self> {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let ports = u32::from(RANGE.end - RANGE.start);
        // Processes begin at different ones, and go on from there.
        let begin = std::process::id().wrapping_mul(97);
        (0..ports)
            .map(|_| begin.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % ports)
            .filter_map(|step| u16::try_from(step).ok())
            .find_map(|step| Self::of(RANGE.start + step))
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, format!("no port of {RANGE:?} is free")))
    }

    /// This port; `None` when it is taken.
    #[must_use]
    pub fn of(port: u16) -> Option<Self> {
        let guard = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        is_free(port).then_some(Self { port, _guard: guard })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A port that is free, and reserved until this process ends.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn kept() -> u16 {
    let reserved = Reserved::any().expect("a free port");
    let port = reserved.port();
    std::mem::forget(reserved);
    port
}

/// Whether nobody listens on the port.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice_while_it_is_reserved() {
        let reserved: Vec<_> = (0..200).map(|_| Reserved::any().unwrap()).collect();
        let ports: BTreeSet<u16> = reserved.iter().map(Reserved::port).collect();
        assert_eq!(ports.len(), 200);
        assert!(ports.iter().all(|port| RANGE.contains(port) && Reserved::of(*port).is_none()));
        let port = *ports.first().unwrap();
        drop(reserved);
        assert_eq!(Reserved::of(port).unwrap().port(), port);
    }

    #[test]
    fn reserved_port_can_be_listened_on_and_is_taken_then() {
        let port = kept();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port) && Reserved::of(port).is_none());
        drop(listener);
        assert!(is_free(port) && Reserved::of(port).is_none(), "it is kept");
    }
}
