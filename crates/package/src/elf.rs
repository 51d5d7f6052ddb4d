//! Whether a binary starts on Lambda: its architecture, and the GLIBC that it needs; and what of it is not packed.

use std::collections::HashMap;

use object::elf::VersionIndex;
use object::read::elf::{ElfFile64, Sym};
use object::{Endianness, Object, ObjectSection};

use crate::args::Architecture;

/// The GLIBC of `provided.al2023`.
/// <https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html>
const LAMBDA_GLIBC: [u32; 2] = [2, 34];

/// The sections that are read where a stack is unwound, and for nothing else.
/// <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/ehframechpt.html>
const UNWIND_TABLES: [&str; 2] = [".eh_frame_hdr", ".eh_frame"];

/// Why a binary does not start on Lambda.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    #[error("it is no 64-bit ELF binary: {0}")]
    Parse(#[from] object::Error),
    #[error("it is for {found:?}, not for {expected}: build it with the --target of that architecture")]
    Architecture { found: object::Architecture, expected: Architecture },
    #[error(
        "{symbol} needs {version}, but Lambda's provided.al2023 has GLIBC 2.34: build on a distribution with GLIBC \
         2.34 or older"
    )]
    Glibc { symbol: String, version: String },
}

/// A version of a shared library that a binary needs, with a symbol that needs it where there is one.
struct Need {
    symbol: Option<String>,
    version: String,
}

/// Refuses a binary that Lambda could not start on `expected`.
pub(crate) fn check(binary: &[u8], expected: Architecture) -> Result<(), ElfError> {
    let file = ElfFile64::<Endianness>::parse(binary)?;
    let found = file.architecture();
    let fits = match expected {
        Architecture::X86_64 => found == object::Architecture::X86_64,
        Architecture::Arm64 => found == object::Architecture::Aarch64,
    };
    if !fits {
        return Err(ElfError::Architecture { found, expected });
    }
    check_needs(needs(&file)?)
}

/// Fills the tables for unwinding with zeros, which take no room in a zip. A Lambda aborts where it panics, so nothing reads
/// them but a backtrace, which has no names without the symbols. The compiler cannot leave them out: the standard library brings
/// its own with its debug information, and then link-time optimization writes them for every function.
///
/// A binary that unwinds all the same aborts there: zeros are tables without entries.
pub(crate) fn blank_unwind_tables(binary: &mut [u8]) -> Result<(), ElfError> {
    let file = ElfFile64::<Endianness>::parse(&*binary)?;
    let tables = UNWIND_TABLES.map(|name| file.section_by_name(name).and_then(|section| section.file_range()));
    for (start, length) in tables.into_iter().flatten() {
        let [start, length] = [start, length].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        binary.iter_mut().skip(start).take(length).for_each(|byte| *byte = 0);
    }
    Ok(())
}

/// What the binary's version section asks for. It, not the symbols, is what the loader checks first; a version such as
/// `GLIBC_ABI_DT_RELR` has no symbol at all.
fn needs<'data>(file: &ElfFile64<'data, Endianness>) -> object::Result<Vec<Need>> {
    let (endian, data, sections) = (file.endian(), file.data(), file.elf_section_table());
    let Some((mut libraries, strings)) = sections.gnu_verneed(endian, data)? else { return Ok(Vec::new()) };
    let strings = sections.strings(endian, data, strings)?;
    let symbols = symbols_by_version(file)?;
    let mut needs = Vec::new();
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = version.name(endian, strings)?;
            let symbol = symbols.get(&version.vna_other(endian).index()).cloned();
            needs.push(Need { symbol, version: String::from_utf8_lossy(name).into_owned() });
        }
    }
    Ok(needs)
}

/// One symbol for each version.
fn symbols_by_version(file: &ElfFile64<'_, Endianness>) -> object::Result<HashMap<VersionIndex, String>> {
    let (endian, data) = (file.endian(), file.data());
    let mut symbols = HashMap::new();
    let Some(versions) = file.elf_section_table().versions(endian, data)? else { return Ok(symbols) };
    let table = file.elf_dynamic_symbol_table();
    for (index, symbol) in table.enumerate() {
        let name = symbol.name(endian, table.strings())?;
        let version = versions.version_index(endian, index).index();
        symbols.entry(version).or_insert_with(|| String::from_utf8_lossy(name).into_owned());
    }
    Ok(symbols)
}

fn check_needs(needs: impl IntoIterator<Item = Need>) -> Result<(), ElfError> {
    match needs.into_iter().find(|need| is_too_new(&need.version)) {
        Some(Need { symbol, version }) => {
            let symbol = symbol.map_or_else(|| "the binary itself".to_owned(), |name| format!("the symbol `{name}`"));
            Err(ElfError::Glibc { symbol, version })
        }
        None => Ok(()),
    }
}

/// Whether a version is one of GLIBC's that Lambda lacks. `GLIBC_PRIVATE` and the `GLIBC_ABI_…` are no numbers: none
/// of them can be relied on.
fn is_too_new(version: &str) -> bool {
    let Some(number) = version.strip_prefix("GLIBC_") else { return false };
    let number: Result<Vec<u32>, _> = number.split('.').map(str::parse).collect();
    number.map_or(true, |number| number.as_slice() > LAMBDA_GLIBC.as_slice())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn need(symbol: Option<&str>, version: &str) -> Need {
        Need { symbol: symbol.map(str::to_owned), version: version.to_owned() }
    }

    #[test]
    fn versions_compare_as_numbers() {
        for old in ["GLIBC_2.2.5", "GLIBC_2.4", "GLIBC_2.17", "GLIBC_2.34", "GCC_3.0", "GCC_4.2.0"] {
            assert!(!is_too_new(old), "{old}");
        }
        for new in ["GLIBC_2.34.1", "GLIBC_2.35", "GLIBC_2.100", "GLIBC_3.0", "GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR"] {
            assert!(is_too_new(new), "{new}");
        }
    }

    #[test]
    fn too_new_a_glibc_is_refused_with_the_symbol_and_its_version() {
        let needs = [need(Some("memcpy"), "GLIBC_2.14"), need(Some("arc4random"), "GLIBC_2.36")];
        let error = check_needs(needs).unwrap_err().to_string();
        assert!(error.starts_with("the symbol `arc4random` needs GLIBC_2.36"), "{error}");
        let error = check_needs([need(None, "GLIBC_ABI_DT_RELR")]).unwrap_err().to_string();
        assert!(error.starts_with("the binary itself needs GLIBC_ABI_DT_RELR"), "{error}");
        assert!(check_needs([need(Some("__libc_start_main"), "GLIBC_2.34")]).is_ok());
    }

    #[test]
    fn the_needs_of_a_binary_are_read_with_their_symbols() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&ElfFile64::<Endianness>::parse(this_test.as_slice()).unwrap()).unwrap();
        let start = needs.iter().find(|need| need.symbol.as_deref() == Some("__libc_start_main"));
        assert!(start.is_none_or(|need| need.version.starts_with("GLIBC_2.")));
        assert!(needs.iter().any(|need| need.symbol.is_some() && need.version.starts_with("GLIBC_2.")));
    }

    #[test]
    fn without_its_tables_for_unwinding_a_binary_is_the_same_and_starts() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut blank = this_test.clone();
        blank_unwind_tables(&mut blank).unwrap();
        let (before, after) = (ElfFile64::<Endianness>::parse(&*this_test), ElfFile64::<Endianness>::parse(&*blank));
        for (before, after) in before.unwrap().sections().zip(after.unwrap().sections()) {
            let name = before.name().unwrap();
            let is_table = name == ".eh_frame" || name == ".eh_frame_hdr";
            assert_eq!(after.data().unwrap() == before.data().unwrap(), !is_table, "{name}");
            assert!(!is_table || after.data().unwrap().iter().all(|byte| *byte == 0), "{name}");
        }

        let path = std::env::temp_dir().join(format!("package-without-tables-{}", std::process::id()));
        std::fs::write(&path, &blank).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        let output = Command::new(&path).arg("--list").output();
        std::fs::remove_file(&path).unwrap();
        assert!(output.unwrap().status.success());
    }

    #[test]
    fn another_architecture_and_what_is_no_binary_are_refused() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let other = match Architecture::of_target(std::env::consts::ARCH).unwrap() {
            Architecture::X86_64 => Architecture::Arm64,
            Architecture::Arm64 => Architecture::X86_64,
        };
        assert!(matches!(check(&this_test, other), Err(ElfError::Architecture { .. })));
        assert!(matches!(check(b"#!/bin/sh", other), Err(ElfError::Parse(_))));
    }
}
