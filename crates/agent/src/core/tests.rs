//! The core driven with stanzas over a forwarder in memory.
