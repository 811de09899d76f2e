//! Addresses that alerts are never sent to, whatever name leads there, and a resolver that sees to it.
//!
//! The check is at each connection, on the address that is connected to: a name that was harmless when the
//! configuration was read may lead elsewhere today.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// What a refused address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Of one network segment; the metadata services of most clouds are here.
    #[error("a link-local address")]
    LinkLocal,
    /// No address at all.
    #[error("an unspecified address")]
    Unspecified,
    /// Many receivers.
    #[error("a multicast or broadcast address")]
    Multicast,
    /// Hands out the credentials of the machine.
    #[error("the address of a cloud's metadata service")]
    Metadata,
}

/// Metadata services outside of the link-local ranges: AWS and Google by IPv6, Azure, Alibaba, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Refuses an address that no receiver of alerts has. Private networks are allowed: the receiver may be there.
pub(crate) fn check(ip: IpAddr) -> Result<(), Refused> {
    match ip {
        IpAddr::V4(ip) => check_v4(ip),
        IpAddr::V6(ip) => {
            if METADATA_V6.contains(&ip) {
                return Err(Refused::Metadata);
            }
            if ip.is_unspecified() {
                return Err(Refused::Unspecified);
            }
            if ip.is_multicast() {
                return Err(Refused::Multicast);
            }
            if ip.is_unicast_link_local() {
                return Err(Refused::LinkLocal);
            }
            if ip.is_loopback() {
                return Ok(());
            }
            embedded(ip).map_or(Ok(()), check_v4)
        }
    }
}

fn check_v4(ip: Ipv4Addr) -> Result<(), Refused> {
    if METADATA_V4.contains(&ip) {
        return Err(Refused::Metadata);
    }
    if ip.is_link_local() {
        return Err(Refused::LinkLocal);
    }
    // All of 0.0.0.0/8 is this machine or nothing.
    if ip.octets()[0] == 0 {
        return Err(Refused::Unspecified);
    }
    if ip.is_multicast() || ip.is_broadcast() {
        return Err(Refused::Multicast);
    }
    Ok(())
}

/// The IPv4 address that an IPv6 address stands for, where it stands for one: mapped, compatible, NAT64, 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let ([0, 0, 0, 0, 0, 0 | 0xffff, high, low]
    | [0, 0, 0, 0, 0xffff, 0, high, low]
    | [0x64, 0xff9b, 0 | 1, _, _, _, high, low]
    | [0x2002, high, low, ..]) = ip.segments()
    else {
        return None;
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// A resolver whose every answer is checked.
pub(crate) struct Checked<R>(pub(crate) R);

impl<R: Resolver> Resolver for Checked<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.0.resolve(uri, config, timeout).map_err(|error| match error {
            // What the system's resolver says of a name that it does not know.
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })?;
        // One bad address refuses them all: a name that leads to a metadata service is not trusted with less.
        for address in &addresses {
            check(address.ip()).map_err(|refused| ureq::Error::Other(Box::new(refused)))?;
        }
        Ok(addresses)
    }
}

impl<R> fmt::Debug for Checked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_refused_in_every_spelling() {
        use Refused::{LinkLocal, Metadata, Multicast, Unspecified};
        for (ip, wanted) in [
            ("169.254.169.254", Err(LinkLocal)),
            ("169.254.0.1", Err(LinkLocal)),
            ("168.63.129.16", Err(Metadata)),
            ("100.100.100.200", Err(Metadata)),
            ("192.0.0.192", Err(Metadata)),
            ("0.0.0.0", Err(Unspecified)),
            ("0.1.2.3", Err(Unspecified)),
            ("224.0.0.1", Err(Multicast)),
            ("255.255.255.255", Err(Multicast)),
            ("fe80::1", Err(LinkLocal)),
            ("febf::1", Err(LinkLocal)),
            ("fd00:ec2::254", Err(Metadata)),
            ("fd20:ce::254", Err(Metadata)),
            ("::", Err(Unspecified)),
            ("ff02::1", Err(Multicast)),
            ("::ffff:169.254.169.254", Err(LinkLocal)),
            ("::ffff:0.0.0.0", Err(Unspecified)),
            ("::169.254.169.254", Err(LinkLocal)),
            ("::ffff:0:169.254.169.254", Err(LinkLocal)),
            ("64:ff9b::169.254.169.254", Err(LinkLocal)),
            ("64:ff9b:1::a9fe:a9fe", Err(LinkLocal)),
            ("2002:a9fe:a9fe::1", Err(LinkLocal)),
            ("127.0.0.1", Ok(())),
            ("::1", Ok(())),
            ("10.1.2.3", Ok(())),
            ("192.168.1.1", Ok(())),
            ("100.64.0.1", Ok(())),
            ("fd00::1", Ok(())),
            ("2606:4700::1111", Ok(())),
            ("93.184.215.14", Ok(())),
        ] {
            assert_eq!(check(ip.parse().unwrap()), wanted, "{ip}");
        }
    }
}
