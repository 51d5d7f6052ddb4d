//! What the SDK for S3 calls of the crate `crc-fast`, in its place (`[patch.crates-io]`), by the crate `crc`.
//!
//! `crc-fast` has 664 KiB of tables for 50 checksums, of which the SDK takes three. Which one is decided where it runs, so the
//! linker keeps them all, and they do not compress: a tenth of a Lambda's zip. This crate is to go when they can be left out:
//! <https://github.com/awesomized/crc-fast-rust/issues/61>.

use std::fmt;

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc};

static ISO_HDLC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
static ISCSI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// The checksums by cycles that S3 has.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-32.
    Crc32IsoHdlc,
    /// CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// A checksum of bytes that come piece by piece.
#[derive(Debug)]
pub struct Digest(State);

enum State {
    Crc32(crc::Digest<'static, u32>),
    Crc64(crc::Digest<'static, u64>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crc32(_) => "Crc32",
            Self::Crc64(_) => "Crc64",
        })
    }
}

impl Digest {
    /// The checksum of nothing yet.
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::Crc32(ISO_HDLC.digest()),
            CrcAlgorithm::Crc32Iscsi => State::Crc32(ISCSI.digest()),
            CrcAlgorithm::Crc64Nvme => State::Crc64(NVME.digest()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(digest) => digest.update(bytes),
            State::Crc64(digest) => digest.update(bytes),
        }
    }

    /// The checksum of all bytes so far, in the lower half where it has 32 bits.
    #[must_use]
    pub fn finalize(&self) -> u64 {
        match &self.0 {
            State::Crc32(digest) => digest.clone().finalize().into(),
            State::Crc64(digest) => digest.clone().finalize(),
        }
    }
}

/// The checksum of `bytes`, in the lower half where it has 32 bits.
#[must_use]
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of CRCs: <https://reveng.sourceforge.io/crc-catalogue/all.htm>.
    const OF_123456789: [(CrcAlgorithm, u64); 3] = [
        (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
        (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
        (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
    ];

    #[test]
    fn checksums_are_those_of_the_catalogue() {
        for (algorithm, check) in OF_123456789 {
            assert_eq!(checksum(algorithm, b"123456789"), check, "{algorithm:?}");
        }
    }

    #[test]
    fn pieces_have_the_checksum_of_the_whole() {
        for (algorithm, check) in OF_123456789 {
            let mut digest = Digest::new(algorithm);
            for piece in [&b"1234"[..], b"", b"56789"] {
                digest.update(piece);
            }
            assert_eq!(digest.finalize(), check, "{algorithm:?}");
        }
    }
}
