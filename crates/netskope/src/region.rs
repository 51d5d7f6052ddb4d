//! Netskope's names of regions: display names close to AWS's own, `global`, or nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

use deunicode::deunicode;

/// Where a resource is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// In no region.
    Global,
    /// In a region, by its code: of a name that is known, or a code that is written as AWS writes them.
    Code(String),
    /// In a region of a name that is not known, as Netskope wrote it.
    Unknown(String),
}

/// Codes and AWS's display names.
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
const REGIONS: [(&str, &str); 39] = [
    ("af-south-1", "Africa (Cape Town)"),
    ("ap-east-1", "Asia Pacific (Hong Kong)"),
    ("ap-east-2", "Asia Pacific (Taipei)"),
    ("ap-northeast-1", "Asia Pacific (Tokyo)"),
    ("ap-northeast-2", "Asia Pacific (Seoul)"),
    ("ap-northeast-3", "Asia Pacific (Osaka)"),
    ("ap-south-1", "Asia Pacific (Mumbai)"),
    ("ap-south-2", "Asia Pacific (Hyderabad)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"),
    ("ap-southeast-2", "Asia Pacific (Sydney)"),
    ("ap-southeast-3", "Asia Pacific (Jakarta)"),
    ("ap-southeast-4", "Asia Pacific (Melbourne)"),
    ("ap-southeast-5", "Asia Pacific (Malaysia)"),
    ("ap-southeast-6", "Asia Pacific (New Zealand)"),
    ("ap-southeast-7", "Asia Pacific (Thailand)"),
    ("ca-central-1", "Canada (Central)"),
    ("ca-west-1", "Canada West (Calgary)"),
    ("cn-north-1", "China (Beijing)"),
    ("cn-northwest-1", "China (Ningxia)"),
    ("eu-central-1", "Europe (Frankfurt)"),
    ("eu-central-2", "Europe (Zurich)"),
    ("eu-north-1", "Europe (Stockholm)"),
    ("eu-south-1", "Europe (Milan)"),
    ("eu-south-2", "Europe (Spain)"),
    ("eu-west-1", "Europe (Ireland)"),
    ("eu-west-2", "Europe (London)"),
    ("eu-west-3", "Europe (Paris)"),
    ("eusc-de-east-1", "AWS European Sovereign Cloud (Germany)"),
    ("il-central-1", "Israel (Tel Aviv)"),
    ("me-central-1", "Middle East (UAE)"),
    ("me-south-1", "Middle East (Bahrain)"),
    ("mx-central-1", "Mexico (Central)"),
    ("sa-east-1", "South America (São Paulo)"),
    ("us-east-1", "US East (N. Virginia)"),
    ("us-east-2", "US East (Ohio)"),
    ("us-gov-east-1", "AWS GovCloud (US-East)"),
    ("us-gov-west-1", "AWS GovCloud (US-West)"),
    ("us-west-1", "US West (N. California)"),
    ("us-west-2", "US West (Oregon)"),
];

/// Names that AWS gave regions before, and that lists still carry: us-gov-west-1 was alone in the United States'
/// GovCloud until November 2018 (the Price List still calls it so), and ap-northeast-3 was a local region until 2021.
/// <https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/document-history.html>,
/// <https://aws.amazon.com/blogs/aws/aws-asia-pacific-osaka-region-now-open-to-all-with-three-azs-more-services/>
const FORMER_NAMES: [(&str, &str); 4] = [
    ("ap-northeast-3", "Asia Pacific (Osaka-Local)"),
    ("ap-northeast-3", "Osaka-Local"),
    ("us-gov-west-1", "AWS GovCloud (US)"),
    ("us-gov-west-1", "GovCloud (US)"),
];

/// The codes that stand for a partition's services in no region, and Netskope's word for them.
/// <https://github.com/boto/botocore/blob/develop/botocore/data/endpoints.json> (`partitionEndpoint`)
const GLOBAL: [&str; 8] = [
    "global",
    "aws-global",
    "aws-cn-global",
    "aws-us-gov-global",
    "aws-iso-global",
    "aws-iso-b-global",
    "aws-iso-e-global",
    "aws-iso-f-global",
];

/// Where in its geography a region is: the word before the number of its code.
const DIRECTIONS: [&str; 9] =
    ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];

/// The longest name that is looked up; each that AWS has given is a third of it at most.
const MAX_NAME: usize = 128;

/// Codes by folded display name.
static CODES: LazyLock<HashMap<String, &str>> =
    LazyLock::new(|| REGIONS.into_iter().chain(FORMER_NAMES).map(|(code, name)| (fold(name), code)).collect());

impl Region {
    /// The codes of the regions that this build knows.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        REGIONS.iter().map(|(code, _)| *code)
    }

    /// Whether this build knows it as a region that there is.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Code(code) if REGIONS.iter().any(|(known, _)| known == code))
    }

    /// Reads a name in any form in which Netskope or AWS writes it: a code, also one that is newer than this build, or
    /// a display name, past ones too, in any case, with or without spaces, hyphens and accents, with `EU` or `Europe`.
    pub fn parse(name: &str) -> Self {
        let name = name.trim();
        let lower = name.to_ascii_lowercase();
        if lower.is_empty() || GLOBAL.contains(&lower.as_str()) {
            return Self::Global;
        }
        if is_code(&lower) {
            return Self::Code(lower);
        }
        let known = (name.len() <= MAX_NAME).then(|| CODES.get(&fold(name))).flatten();
        known.map_or_else(|| Self::Unknown(name.to_owned()), |code| Self::Code((*code).to_owned()))
    }
}

/// Whether a text is written as AWS writes the codes of regions, in every partition: such as mx-central-1,
/// us-gov-west-1, us-isob-east-1, eusc-de-east-1. Zones (us-east-1a, us-west-2-lax-1) are none.
/// <https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json> (`regionRegex`), with words for `\w+`
fn is_code(text: &str) -> bool {
    let is_country = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_partition = |part: &str| {
        part == "gov"
            || part
                .strip_prefix("iso")
                .is_some_and(|of| of.len() < 2 && of.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    let is_place = |direction: &str, number: &str| {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        DIRECTIONS.contains(&direction) && digits && matches!(number.len(), 1 | 2) && !number.starts_with('0')
    };
    match text.split('-').collect::<Vec<_>>()[..] {
        [country, direction, number] => is_country(country) && is_place(direction, number),
        ["eusc", country, direction, number] => is_country(country) && is_place(direction, number),
        [country, partition, direction, number] => {
            is_country(country) && is_partition(partition) && is_place(direction, number)
        }
        _ => false,
    }
}

/// The display name without case, accents, spaces and hyphens, in which its spellings differ.
fn fold(name: &str) -> String {
    let plain = deunicode(name).to_lowercase();
    let plain: String = plain.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    plain.strip_prefix("europe(").map(|rest| format!("eu({rest}")).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_names_that_netskope_is_known_to_write() {
        for (name, code) in [
            ("US East(N. Virginia)", "us-east-1"),
            ("US East(Ohio)", "us-east-2"),
            ("US West(N. California)", "us-west-1"),
            ("US West(Oregon)", "us-west-2"),
            ("Africa(Cape Town)", "af-south-1"),
            ("Asia Pacific(Hong Kong)", "ap-east-1"),
            ("Asia Pacific(Jakarta)", "ap-southeast-3"),
            ("Asia Pacific(Mumbai)", "ap-south-1"),
            ("Asia Pacific(Osaka)", "ap-northeast-3"),
            ("Asia Pacific(Sydney)", "ap-southeast-2"),
            ("Asia Pacific(Seoul)", "ap-northeast-2"),
            ("Asia Pacific(Singapore)", "ap-southeast-1"),
            ("Asia Pacific(Tokyo)", "ap-northeast-1"),
            ("Canada(Central)", "ca-central-1"),
            ("EU(Frankfurt)", "eu-central-1"),
            ("EU(Ireland)", "eu-west-1"),
            ("EU(London)", "eu-west-2"),
            ("EU(Paris)", "eu-west-3"),
            ("EU(Stockholm)", "eu-north-1"),
            ("EU(Milan)", "eu-south-1"),
            ("South America(Sao Paulo)", "sa-east-1"),
        ] {
            assert_eq!(Region::parse(name), Region::Code(code.into()), "{name}");
        }
    }

    #[test]
    fn what_stands_for_no_region_is_global() {
        for name in ["global", "Global", "", " ", "aws-global", "AWS-Global", "aws-cn-global", "aws-us-gov-global"] {
            assert_eq!(Region::parse(name), Region::Global, "{name}");
        }
        assert_eq!(Region::parse("Global South"), Region::Unknown("Global South".into()));
    }

    #[test]
    fn former_names_are_known() {
        for (name, code) in [
            ("AWS GovCloud(US)", "us-gov-west-1"),
            ("AWS GovCloud (US)", "us-gov-west-1"),
            ("GovCloud(US)", "us-gov-west-1"),
            ("AWS GovCloud (US-West)", "us-gov-west-1"),
            ("AWS GovCloud(US-East)", "us-gov-east-1"),
            ("AWS GovCloud (US East)", "us-gov-east-1"),
            ("Osaka-Local", "ap-northeast-3"),
            ("Asia Pacific(Osaka-Local)", "ap-northeast-3"),
            ("Asia Pacific (Osaka Local)", "ap-northeast-3"),
        ] {
            assert_eq!(Region::parse(name), Region::Code(code.into()), "{name}");
        }
    }

    #[test]
    fn a_code_that_no_table_knows_is_a_code() {
        for code in [
            "ap-southeast-9",
            "ap-northeast-12",
            "mx-west-2",
            "us-isob-east-1",
            "us-iso-west-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-2",
            "eusc-fr-central-1",
            "cn-central-1",
            "us-gov-central-1",
        ] {
            assert!(!REGIONS.iter().any(|(known, _)| *known == code), "{code} is in the table");
            assert_eq!(Region::parse(code), Region::Code(code.into()));
            assert_eq!(Region::parse(&format!(" {} ", code.to_uppercase())), Region::Code(code.into()));
        }
    }

    #[test]
    fn what_only_looks_like_a_code_stays_unknown() {
        for name in [
            "us-east-1a",
            "us-west-2-lax-1",
            "us-east",
            "us-east-0",
            "us-east-01",
            "us-east-100",
            "us--east-1",
            "usa-east-1",
            "u-east-1",
            "us-eastern-1",
            "us-isobb-east-1",
            "us-gov-1",
            "eusc-east-1",
            "us-east-1.evil.example",
            "us-east-１",
            "us_east_1",
            "azure-west-europe",
        ] {
            assert_eq!(Region::parse(name), Region::Unknown(name.into()));
        }
    }

    #[test]
    fn an_unknown_name_is_kept_as_it_was_written() {
        assert_eq!(Region::parse(" Atlantis (Deep) "), Region::Unknown("Atlantis (Deep)".into()));
    }

    /// A display name in another case, with other spaces, without accents, with EU for Europe.
    fn spelling() -> impl Strategy<Value = (&'static str, String)> {
        let letters = prop::collection::vec((any::<bool>(), 0..3_usize), 64);
        (0..REGIONS.len(), letters, any::<[bool; 3]>()).prop_map(|(index, letters, [eu, ascii, tight])| {
            let (code, display) = REGIONS[index];
            let name = if eu { display.replace("Europe (", "EU (") } else { display.to_owned() };
            let name = if ascii { deunicode(&name) } else { name };
            let name = if tight { name.replace(' ', "") } else { name };
            let respelled = name.chars().zip(letters).map(|(letter, (upper, spaces))| {
                let letter = if upper { letter.to_uppercase().to_string() } else { letter.to_lowercase().to_string() };
                letter + &" ".repeat(spaces)
            });
            (code, respelled.collect())
        })
    }

    proptest! {
        #[test]
        fn every_region_is_known_in_every_spelling((code, name) in spelling()) {
            prop_assert_eq!(Region::parse(&name), Region::Code(code.into()), "{}", name);
        }

        #[test]
        fn every_code_is_known(index in 0..REGIONS.len()) {
            let (code, _) = REGIONS[index];
            prop_assert_eq!(Region::parse(code), Region::Code(code.into()));
            prop_assert_eq!(Region::parse(&code.to_uppercase()), Region::Code(code.into()));
        }

        #[test]
        fn any_text_is_global_known_or_kept(name in "\\PC*|[a-z-]{1,12}-[0-9a-z]{1,3}|.{0,200}") {
            match Region::parse(&name) {
                Region::Unknown(kept) => prop_assert_eq!(kept, name.trim()),
                Region::Code(code) => prop_assert!(is_code(&code), "{}", code),
                Region::Global => {}
            }
        }
    }
}
