//! What a binary asks of the system that runs it: the processor, and the C library.

use anyhow::{Context, bail, ensure};

/// The newest glibc that a binary may ask for: Amazon Linux 2023 has it.
pub(crate) const GLIBC: Version = Version(2, 34);

/// A processor, as Lambda calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    Arm64,
    X86_64,
}

impl Arch {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }

    /// `e_machine` of the ELF header.
    fn machine(self) -> u16 {
        match self {
            Self::Arm64 => 0xb7,
            Self::X86_64 => 0x3e,
        }
    }
}

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Refuses what is no binary for that processor.
pub(crate) fn check_arch(binary: &[u8], arch: Arch) -> anyhow::Result<()> {
    ensure!(binary.starts_with(b"\x7fELF\x02\x01"), "it is no 64-bit little-endian ELF file");
    let machine = binary.get(18..20).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
    if machine != Some(arch.machine()) {
        bail!("it is for the machine {machine:#x?}, and not for {}", arch.name());
    }
    Ok(())
}

/// The newest version of glibc of which a binary needs a symbol: these names stand in its table of strings.
pub(crate) fn glibc(binary: &[u8]) -> anyhow::Result<Version> {
    const PREFIX: &[u8] = b"GLIBC_";
    let starts = binary.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let versions = starts.filter_map(|(at, _)| {
        let rest = binary.get(at + PREFIX.len()..)?;
        let end = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'.')?;
        let (major, minor) = std::str::from_utf8(rest.get(..end)?).ok()?.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some(Version(major.parse().ok()?, minor.parse().ok()?))
    });
    versions.max().context("it names no version of glibc: is it linked statically?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_counts() {
        let names = b"\0__cxa_finalize\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.3.4\0GLIBC_PRIVATE\0";
        assert_eq!(glibc(names).unwrap(), Version(2, 34));
        assert!(Version(2, 9) < GLIBC && Version(2, 35) > GLIBC && Version(3, 0) > GLIBC);
        assert!(glibc(b"\0musl\0").is_err());
    }

    #[test]
    fn a_binary_is_for_one_processor() {
        let mut binary = b"\x7fELF\x02\x01\x01".to_vec();
        binary.resize(64, 0);
        binary[18] = 0xb7;
        assert!(check_arch(&binary, Arch::Arm64).is_ok());
        assert!(check_arch(&binary, Arch::X86_64).is_err());
        assert!(check_arch(b"#!/bin/sh", Arch::Arm64).is_err());
    }
}
