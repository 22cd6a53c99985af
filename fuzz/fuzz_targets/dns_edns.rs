//! A workload's query is marked with its network and the response unmarked, whatever either holds.
#![no_main]

use weft_dns::edns;

const NETWORK: &str = "default-domain:acme:front";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&split, bytes)) = data.split_first() else { return };
    let (query, response) = bytes.split_at(usize::from(split).min(bytes.len()));
    for query in [query, bytes] {
        if let Ok(tagged) = edns::tag_query(query, NETWORK)
            && let Ok(message) = edns::decode(&tagged)
        {
            assert_eq!(edns::network(&message), Ok(Some(NETWORK)));
        }
    }
    for (response, query) in [(response, query), (bytes, bytes)] {
        if let Ok(untagged) = edns::untag_response(response, query)
            && let Ok(message) = edns::decode(&untagged)
        {
            assert_eq!(edns::network(&message), Ok(None));
        }
    }
});
