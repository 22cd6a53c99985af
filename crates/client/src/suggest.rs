//! "Did you mean": the known word closest to one that is not known.

/// Words less alike than this (Jaro-Winkler, 0 to 1) are no help.
const LIKENESS: f64 = 0.84;

/// The candidate that the word was probably meant to be.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let wanted = plain(word);
    let rated = candidates.into_iter().map(|c| (strsim::jaro_winkler(&wanted, &plain(c)), c));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.len().cmp(&a.1.len())));
    best.filter(|(likeness, _)| *likeness >= LIKENESS).map(|(_, candidate)| candidate)
}

/// The question to append to an error, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates).map(|found| format!("; did you mean {found}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_nonsense_is_not() {
        let known = ["virtual-network", "virtual-machine", "virtual-machine-interface", "network-policy"];
        assert_eq!(closest("virtual-netwrk", known), Some("virtual-network"));
        assert_eq!(closest("virtual_network", known), Some("virtual-network"));
        assert_eq!(closest("netwrok-policy", known), Some("network-policy"));
        assert_eq!(closest("virtual-machine-interfce", known), Some("virtual-machine-interface"));
        assert_eq!(closest("banana", known), None);
        assert_eq!(did_you_mean("fq_nam", ["fq_name", "uuid"]), "; did you mean fq_name?");
        assert_eq!(did_you_mean("zzz", ["fq_name"]), "");
    }
}
