//! Which client it is, also behind proxies.

use axum::extract::Request;
use axum::http::HeaderMap;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Where the connection comes from; the server puts it beside each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The proxies in front of us, each an address or a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many leading bits count.
    bits: u8,
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault =
            || format!("`{text}` is not an address such as 10.0.0.7, or a network such as 10.0.0.0/8");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), str::parse).map_err(|_| fault())?;
        if bits > all {
            return Err(fault());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let differing: u128 = own ^ other;
        differing.checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

impl TrustedProxies {
    /// The client's address: the connection's, or what trusted proxies say that it is.
    pub(super) fn client_of(&self, request: &Request) -> IpAddr {
        let peer = request.extensions().get::<Peer>().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0);
        self.client(peer, request.headers())
    }

    /// Each proxy appends to `X-Forwarded-For` whom it was asked by; what stands before may be
    /// made up. So it is read from its end, as long as those who wrote it are trusted.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<_> =
            headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        let mut client = peer;
        while self.0.iter().any(|network| network.holds(client)) {
            match hops.next().and_then(|hop| hop.trim().parse().ok()) {
                Some(hop) => client = hop,
                None => break,
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies.parse::<TrustedProxies>().unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn strangers_cannot_say_who_they_are() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
    }

    #[test]
    fn trusted_proxies_are_believed_and_what_stands_before_them_is_not() {
        let proxies = "10.0.0.0/8, 2001:db8::1";
        assert_eq!(client(proxies, "10.1.2.3", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(proxies, "::ffff:10.1.2.3", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client(proxies, "10.1.2.3", &["6.6.6.6, 192.0.2.1, 10.9.9.9"]), "192.0.2.1");
        assert_eq!(client(proxies, "10.1.2.3", &["6.6.6.6", "192.0.2.1", "2001:db8::1"]), "192.0.2.1");
        assert_eq!(client(proxies, "10.1.2.3", &["192.0.2.1, nonsense"]), "10.1.2.3");
        assert_eq!(client(proxies, "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("0.0.0.0/0", "10.1.2.3", &["1.1.1.1, 2.2.2.2"]), "1.1.1.1");
    }

    #[test]
    fn list_is_checked_at_the_start() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.1:80", "10.0.0.0/8/8"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
    }
}
