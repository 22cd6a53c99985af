//! `weft certs`: a certificate authority and nodes' certificates.

use anyhow::Context;

use crate::cli::CertsArgs;
use crate::output;

pub(crate) fn run(args: &CertsArgs) -> anyhow::Result<()> {
    weft_tls::make_ca(&args.dir).context("certificate authority")?;
    for node in &args.nodes {
        let directory = args.dir.join(&node.name);
        weft_tls::make_node_cert(&args.dir, &node.name, &node.addresses, &directory)
            .with_context(|| format!("certificate of {}", node.name))?;
        output::print(&format!("{}: {}\n", node.name, directory.display()));
    }
    Ok(())
}
