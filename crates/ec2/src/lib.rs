//! What the rules about EC2 share: filters, tags, ARNs and the addresses of the internet.

use std::net::{Ipv4Addr, Ipv6Addr};

use aws_sdk_ec2::types::{Filter, Tag};
use ipnet::{Ipv4Net, Ipv6Net};
use remediation::{Finding, Resource, Result, Tags, partition};

/// The ranges of IPv4 from which nobody comes over the internet: private, local, of documentation, multicast, reserved.
/// What is as wide as all the others is as wide as the world.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry.xhtml>
/// <https://www.iana.org/assignments/ipv4-address-space/ipv4-address-space.xhtml>
pub const NOT_OF_THE_INTERNET: [Ipv4Net; 14] = [
    Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All of the internet's addresses of IPv6: nothing else has been assigned to be routed.
/// <https://www.iana.org/assignments/ipv6-unicast-address-assignments/ipv6-unicast-address-assignments.xhtml>
pub const IPV6_INTERNET: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// A filter for any of some values. EC2 takes `*` and `?` in them for wildcards, so what it lets through is compared
/// again.
pub fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// The tags of an answer.
pub fn tags(listed: Option<Vec<Tag>>) -> Tags {
    let listed = listed.unwrap_or_default().into_iter();
    listed.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// The value of a tag.
pub fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

/// The value of the tag that the console shows as the name.
pub fn name_tag(tags: &[Tag]) -> Option<&str> {
    tag(tags, "Name")
}

/// A resource of the type that ARNs call `kind`, in the finding's region.
///
/// # Errors
///
/// What `action` gave as its owner is no account.
pub fn resource(action: &str, finding: &Finding, owner: &str, kind: &str, id: &str) -> Result<Resource> {
    let region = finding.region.as_ref();
    let arn = format!("arn:{}:ec2:{region}:{owner}:{kind}/{id}", partition(region));
    Resource::of_arn(action, arn, id)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn the_ranges_lie_beside_each_other_and_leave_the_internet() {
        let merged = Ipv4Net::aggregate(&NOT_OF_THE_INTERNET.to_vec());
        let addresses = |ranges: &[Ipv4Net]| -> u64 { ranges.iter().map(|of| 1 << (32 - of.prefix_len())).sum() };
        assert_eq!(addresses(&merged), addresses(&NOT_OF_THE_INTERNET));
        for (address, expected) in [
            ("8.8.8.8", true),
            ("172.15.255.255", true),
            ("172.16.0.1", false),
            ("100.127.255.255", false),
            ("223.255.255.255", true),
            ("255.255.255.255", false),
            ("2a00::1", true),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            let is_public = match address.parse().unwrap() {
                IpAddr::V4(of) => !NOT_OF_THE_INTERNET.iter().any(|range| range.contains(&of)),
                IpAddr::V6(of) => IPV6_INTERNET.contains(&of),
            };
            assert_eq!(is_public, expected, "{address}");
        }
    }
}
