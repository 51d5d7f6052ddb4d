//! Netskope's names of regions: display names close to AWS's own, `global`, or nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

use deunicode::deunicode;

/// Where a resource is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// In no region.
    Global,
    /// In a region that is known, by its code.
    Code(&'static str),
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

/// Codes by code and by folded display name.
static CODES: LazyLock<HashMap<String, &str>> = LazyLock::new(|| {
    REGIONS.into_iter().flat_map(|(code, display)| [(code.to_owned(), code), (fold(display), code)]).collect()
});

impl Region {
    /// Reads a name in any form in which Netskope or AWS writes it: a code, or a display name in any case, with or
    /// without spaces and accents, with `EU` or `Europe`.
    pub fn parse(name: &str) -> Self {
        let folded = fold(name);
        if folded.is_empty() || folded == "global" {
            return Self::Global;
        }
        CODES.get(&folded).map_or_else(|| Self::Unknown(name.trim().to_owned()), |code| Self::Code(code))
    }
}

fn fold(name: &str) -> String {
    let plain: String = deunicode(name).to_lowercase().split_whitespace().collect();
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
            assert_eq!(Region::parse(name), Region::Code(code), "{name}");
        }
        assert_eq!(Region::parse("global"), Region::Global);
        assert_eq!(Region::parse(""), Region::Global);
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
            prop_assert_eq!(Region::parse(&name), Region::Code(code), "{}", name);
        }

        #[test]
        fn every_code_is_known(index in 0..REGIONS.len()) {
            let (code, _) = REGIONS[index];
            prop_assert_eq!(Region::parse(code), Region::Code(code));
            prop_assert_eq!(Region::parse(&code.to_uppercase()), Region::Code(code));
        }

        #[test]
        fn any_text_is_global_known_or_kept(name: String) {
            if let Region::Unknown(kept) = Region::parse(&name) {
                prop_assert_eq!(kept, name.trim());
            }
        }
    }
}
