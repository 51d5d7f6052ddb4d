//! In which region a bucket is, where S3 says that it is not in the one that was asked.
//!
//! S3 says it in a header, in an element of the answer, or in its words alone, by the regions and by the endpoint asked:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/UsingRouting.html>

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::codes;

/// What is before and after the region in S3's words.
const IN_WORDS: [(&str, &str); 2] = [("expecting '", "'"), ("The ", " location constraint is incompatible")];
/// Longer than the code of any region.
const MOST: usize = 32;

/// The region in which the bucket is, of an answer with this code and these words.
pub(super) fn region(code: Option<&str>, said: &str, response: &HttpResponse) -> Option<String> {
    // The answer to a HEAD has no code.
    let is_of_another = codes::is_of_another_region(code) || code.is_none() && response.status().as_u16() == 301;
    if !is_of_another {
        return None;
    }
    let header = response.headers().get("x-amz-bucket-region");
    let body = response.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let element = || between(body?, "<Region>", "</Region>");
    let words = || IN_WORDS.iter().find_map(|(before, after)| between(said, before, after));
    let found = header.filter(|text| is_region(text)).or_else(element).or_else(words);
    found.map(str::to_owned)
}

/// The region between two words of a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found).filter(|found| is_region(found))
}

/// Whether a text is written as the code of a region, so that no other part of an answer is taken for one.
fn is_region(text: &str) -> bool {
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= MOST && text.split('-').count() >= 3 && text.split('-').all(is_word)
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn told(code: Option<&str>, status: u16, said: &str, body: &str, header: Option<&'static str>) -> Option<String> {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(header) = header {
            response.headers_mut().insert("x-amz-bucket-region", header);
        }
        region(code, said, &response)
    }

    #[test]
    fn each_way_in_which_s3_tells_the_region_is_read() {
        let malformed = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        let constraint = "The ap-east-2 location constraint is incompatible for the region specific endpoint this request was sent to.";
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>";
        for (code, status, said, body, header, region) in [
            (Some("PermanentRedirect"), 301, "", "", Some("eu-west-1"), Some("eu-west-1")),
            (None, 301, "", "", Some("eu-west-1"), Some("eu-west-1")),
            (Some("AuthorizationHeaderMalformed"), 400, malformed, "", None, Some("eu-west-1")),
            (Some("AuthorizationHeaderMalformed"), 400, malformed, body, None, Some("eu-west-2")),
            (Some("IllegalLocationConstraintException"), 400, constraint, "", None, Some("ap-east-2")),
        ] {
            assert_eq!(told(code, status, said, body, header).as_deref(), region, "{code:?} {said}");
        }
    }

    #[test]
    fn nothing_else_is_taken_for_a_region() {
        let unspecified = "The unspecified location constraint is incompatible for the region specific endpoint";
        for (code, status, said, header) in [
            (Some("AccessDenied"), 403, "", Some("eu-west-1")),
            (None, 404, "", Some("eu-west-1")),
            (Some("IllegalLocationConstraintException"), 400, unspecified, None),
            (Some("PermanentRedirect"), 301, "", Some("eu-west-1 --profile x")),
            (Some("AuthorizationHeaderMalformed"), 400, "expecting '<Region>'", None),
        ] {
            assert_eq!(told(code, status, said, "", header), None, "{code:?} {said} {header:?}");
        }
    }
}
