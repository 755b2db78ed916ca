//! The Dockerfile, read: it cannot be built where there is no container engine, but much can be said about it.

use deploy_tests::dockerfile::{Instruction, copied, parse};
use deploy_tests::{SERVICES, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dockerfile() -> Vec<Instruction> {
    parse(&read("deploy/Dockerfile"))
}

#[test]
fn what_is_copied_exists_and_is_not_ignored() {
    let ignore = read("deploy/Dockerfile.dockerignore");
    let instructions = dockerfile();
    let sources = copied(&instructions);
    assert!(sources.contains(&"Cargo.lock"), "{sources:?}");
    for source in sources {
        assert!(root().join(source).exists(), "{source} is copied but does not exist");
        assert!(ignore.lines().any(|line| line == format!("!{source}")), "{source} is copied but ignored");
    }
}

#[test]
fn every_member_of_the_workspace_is_copied() {
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("members on one line");
    let instructions = dockerfile();
    let sources = copied(&instructions);
    for member in members.trim_matches(['[', ']']).split(',').map(|member| member.trim().trim_matches('"')) {
        let folder = member.split('/').next().expect("a first part");
        assert!(sources.contains(&folder), "{member} is a member but not copied");
    }
}

#[test]
fn it_builds_with_the_pinned_rust() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel");
    let base = &dockerfile()[0];
    assert_eq!(
        (base.name.as_str(), base.words[0].as_str()),
        ("FROM", format!("rust:{}-bookworm", channel.trim_matches('"')).as_str())
    );
}

#[test]
fn it_runs_as_the_user_that_the_manifests_name() {
    let instructions = dockerfile();
    let user = instructions.iter().rfind(|instruction| instruction.name == "USER").expect("a user");
    assert_eq!(user.words, ["65532:65532"]);
    let house = read("deploy/k8s/base/house.yaml");
    assert!(house.contains("runAsUser: 65532") && house.contains("runAsGroup: 65532"));
}

#[test]
fn the_build_makes_every_binary_and_port_there_is() {
    let script = read("deploy/images.sh");
    for service in &SERVICES {
        assert!(script.contains(&format!("image pesan-{} ", service.name)), "{} has no image", service.name);
        assert!(script.contains(&service.port.to_string()), "{} exposes no port", service.name);
        let manifest = read(&format!("services/{}/Cargo.toml", service.name));
        assert!(manifest.contains(&format!("name = \"pesan-{}\"", service.name)), "the binary has another name");
    }
    let exposed = dockerfile().into_iter().find(|instruction| instruction.name == "EXPOSE");
    assert_eq!(exposed.expect("ports").words, ["$PORTS"]);
}

#[test]
fn entrypoints_take_signals() {
    let instructions = dockerfile();
    let entrypoint = instructions.iter().rfind(|i| i.name == "ENTRYPOINT").expect("an entrypoint").words.join(" ");
    assert!(entrypoint.starts_with("[\"/"), "a shell in between would swallow SIGTERM: {entrypoint}");
    let copied_to = |i: &Instruction| i.name == "COPY" && i.words.last().is_some_and(|to| entrypoint.contains(to));
    assert!(instructions.iter().any(copied_to), "nothing is copied to the entrypoint");
}
