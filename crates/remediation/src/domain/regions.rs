//! Which regions' resources a deployment looks after.

/// The regions of a deployment, and the one whose deployment looks after what has no region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    own: Vec<String>,
    home: String,
}

/// Why these are no regions of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegions {
    /// None is listed.
    #[error("no region is listed")]
    NoneListed,
    /// It is not said whose deployment looks after what has no region.
    #[error("no home region is named")]
    NoHome,
}

impl Regions {
    /// Those whose codes are in `list`, with commas between them; what has no region belongs to the deployment that looks
    /// after `home`.
    ///
    /// # Errors
    ///
    /// No region is listed, or there is no home.
    pub fn new(list: &str, home: &str) -> Result<Self, InvalidRegions> {
        let own: Vec<_> = list.split(',').map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()).collect();
        if own.is_empty() {
            return Err(InvalidRegions::NoneListed);
        }
        if home.is_empty() {
            return Err(InvalidRegions::NoHome);
        }
        Ok(Self { own, home: home.to_owned() })
    }

    /// One region, and what has none.
    pub fn only(code: &str) -> Self {
        Self { own: vec![code.to_owned()], home: code.to_owned() }
    }

    /// The region of these that has this code, in capitals or not; none where another deployment looks after it.
    pub fn find(&self, code: &str) -> Option<&str> {
        self.own.iter().find(|own| own.eq_ignore_ascii_case(code)).map(String::as_str)
    }

    /// The region whose deployment looks after what has no region.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Whether what has no region is looked after here.
    pub fn include_home(&self) -> bool {
        self.find(&self.home).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_listed_with_commas_and_are_not_none() {
        for (list, there, not_there) in [
            ("us-east-1", &["us-east-1"][..], "eu-west-1"),
            ("us-east-1,eu-west-1", &["us-east-1", "eu-west-1", "EU-West-1"], "us-west-1"),
            (" us-east-1 , eu-west-1,", &["us-east-1", "eu-west-1"], ""),
        ] {
            let regions = Regions::new(list, "eu-west-1").unwrap();
            assert!(there.iter().all(|code| regions.find(code) == Some(&code.to_ascii_lowercase())), "{list}");
            assert_eq!(regions.find(not_there), None, "{list}");
            assert_eq!(regions.include_home(), there.contains(&"eu-west-1"), "{list}");
        }
        for list in ["", " ", ",", " , "] {
            assert_eq!(Regions::new(list, "us-east-1"), Err(InvalidRegions::NoneListed));
        }
        assert_eq!(Regions::new("us-east-1", ""), Err(InvalidRegions::NoHome));
    }
}
