//! What an operator writes: who may log in (YAML), and where the etcd cluster is.
#![no_main]

use weft_auth::AuthConfig;
use weft_store::EtcdOptions;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(config) = AuthConfig::parse(text) {
        assert!(config.oidc.iter().all(|issuer| !issuer.audience.is_empty()));
    }
    if let Ok(options) = EtcdOptions::parse(text) {
        assert!(!options.endpoints.is_empty());
        assert!(options.prefix.starts_with('/') && options.prefix.ends_with('/'));
        assert!(options.ca.is_some() || options.identity.is_none());
    }
});
