//! The zip of one Lambda.

use std::io::{Cursor, Write};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::args::Profile;

/// A zip with `binary` as its executable `bootstrap`. Nothing of this machine or moment goes into it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-provided.html>
pub(crate) fn zip(binary: &[u8], profile: Profile) -> ZipResult<Vec<u8>> {
    let level = match profile {
        Profile::Release => 9,
        Profile::Dev => 1,
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(level))
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("bootstrap", options)?;
    writer.write_all(binary)?;
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn the_same_bytes_give_the_same_zip() {
        let binary: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        for profile in [Profile::Release, Profile::Dev] {
            assert_eq!(zip(&binary, profile).unwrap(), zip(&binary, profile).unwrap());
        }
    }

    #[test]
    fn the_zip_holds_an_executable_bootstrap_of_a_fixed_time_and_nothing_else() {
        let mut archive = ZipArchive::new(Cursor::new(zip(b"the binary", Profile::Release).unwrap())).unwrap();
        assert_eq!(archive.len(), 1);
        let mut entry = archive.by_index(0).unwrap();
        assert_eq!((entry.name().unwrap().as_ref(), entry.unix_mode()), ("bootstrap", Some(0o100_755)));
        assert_eq!(entry.last_modified(), Some(DateTime::default()));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"the binary");
    }
}
