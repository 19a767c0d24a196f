//! What pictures show, and that their formats can be read.

use super::*;
use crate::fixtures::{EXAMPLE, extended_map};
use crate::model::{ClientConfig, Clients};
use crate::names::ClientName;

const HOSTS: &str = "\
clients: apps1
web: {clients: [web1, web2], networks: front, attaches: {log: /var/log}}
shop: {instances: [one, two], image: shop, uses: [{data: ro}], links: {db: database}, networks: {front: s}}
db: {attaches: {data: /data}, exposes: {5432: [5432, private]}}
metrics: {network_mode: db, links: web}
networks: {front: {internal: true}}
groups: {app: [shop.one, db]}
";

fn diagram(text: &str) -> Diagram {
    let ssh =
        ClientConfig { fabric_host: Some("deploy@web1.example.com".to_owned()), ..ClientConfig::default() };
    Diagram::new(&extended_map(text), &Clients::from([(ClientName::new("web1").unwrap(), ssh)]))
}

#[test]
fn each_host_has_its_containers_volumes_and_networks() {
    let diagram = diagram(HOSTS);
    let host = |host: &Host| {
        let nodes = host.nodes.iter().map(|node| diagram.nodes[*node].title.as_str());
        format!("{}: {}", host.label, nodes.collect::<Vec<_>>().join(" "))
    };
    let hosts: Vec<String> = diagram.hosts.iter().map(host).collect();
    let expected = [
        "web1 (deploy@web1.example.com): web log front",
        "web2: web log front",
        "apps1: shop front db data metrics",
    ];
    assert_eq!(hosts, expected);
    let edge = |edge: &Edge| {
        let title = |node: usize| diagram.nodes[node].title.as_str();
        format!("{} {} {} {}", title(edge.from), edge.kind.meaning(), title(edge.to), edge.label)
            .trim()
            .to_owned()
    };
    let edges: Vec<String> = diagram.edges.iter().map(edge).collect();
    let expected = [
        "web owns volume log",
        "web joins network front",
        "web owns volume log",
        "web joins network front",
        "shop links to db as database",
        "shop uses volume data read-only",
        "shop joins network front as s",
        "db owns volume data",
        "metrics shares network of db",
        // `web` runs elsewhere, on two hosts.
        "metrics links to web",
        "metrics links to web",
    ];
    assert_eq!(edges, expected);
}

#[test]
fn the_example_as_dot() {
    insta::assert_snapshot!(diagram(EXAMPLE).dot(), @r##"
    digraph "example_map" {
      graph [label="example_map", labelloc=t, fontname="Helvetica", rankdir=TB];
      node [fontname="Helvetica", fontsize=11, style=filled];
      edge [fontname="Helvetica", fontsize=9];
      subgraph cluster_0 {
        label="default"; style="rounded,dashed"; color="#888888";
        n0 [label="web_server\nimage nginx\nports 80:80, 443:443\nfrom host /etc/nginx (ro)", shape=box, fillcolor="#e3effa"];
        n1 [label="web_log\n/var/log/nginx", shape=cylinder, fillcolor="#fdf0d5"];
        n2 [label="app_server\nimage app\nfrom host app_config (ro), app_data\n[instance1] [instance2]", shape=box, fillcolor="#e3effa"];
        n3 [label="app_log\n/var/lib/app/log", shape=cylinder, fillcolor="#fdf0d5"];
        n4 [label="app_server_socket\n/var/lib/app/socket", shape=cylinder, fillcolor="#fdf0d5"];
      }
      n0 -> n4 [color="#b06a00", style=dashed];
      n0 -> n1 [color="#b06a00", penwidth=2, dir=none];
      n2 -> n3 [color="#b06a00", penwidth=2, dir=none];
      n2 -> n4 [color="#b06a00", penwidth=2, dir=none];
      subgraph cluster_legend {
        label="legend"; style=rounded; color="#cccccc"; node [fontsize=9];
        l0 [label="container", shape=box, fillcolor="#e3effa"];
        l1 [label="volume", shape=cylinder, fillcolor="#fdf0d5"];
        a0 [shape=point]; b0 [shape=point];
        a0 -> b0 [label="uses volume", color="#b06a00", style=dashed];
        a1 [shape=point]; b1 [shape=point];
        a1 -> b1 [label="owns volume", color="#b06a00", penwidth=2, dir=none];
      }
    }
    "##);
}

#[test]
fn the_example_as_mermaid() {
    insta::assert_snapshot!(diagram(EXAMPLE).mermaid(), @r##"
    ---
    title: example_map
    ---
    flowchart TB
      subgraph h0 ["default"]
        n0["<b>web_server</b><br/>image nginx<br/>ports 80:80, 443:443<br/>from host /etc/nginx (ro)"]
        n1[("<b>web_log</b><br/>/var/log/nginx")]
        n2["<b>app_server</b><br/>image app<br/>from host app_config (ro), app_data<br/>#91;instance1#93; #91;instance2#93;"]
        n3[("<b>app_log</b><br/>/var/lib/app/log")]
        n4[("<b>app_server_socket</b><br/>/var/lib/app/socket")]
      end
      subgraph legend
        l0["<b>container</b>"]
        l1[("<b>volume</b>")]
        a0[" "] -.->|"uses volume"| b0[" "]
        a1[" "] ===|"owns volume"| b1[" "]
      end
      n0 -.-> n4
      n0 === n1
      n2 === n3
      n2 === n4
      classDef container fill:#e3effa,stroke:#2f6fb3,color:#222
      class l0,n0,n2 container
      classDef volume fill:#fdf0d5,stroke:#b06a00,color:#222
      class l1,n1,n3,n4 volume
    "##);
}

#[test]
fn svg_is_well_formed_and_shows_every_name() {
    let odd = "a: {image: 'a&b', create_options: {x: 1}, shares: ['/<x>\"y\"'], links: {b: \"x\\\"y\"}}\nb: {instances: ['1.2']}\n";
    for text in [EXAMPLE, HOSTS, odd, "{}"] {
        let diagram = diagram(text);
        let svg = diagram.svg();
        let document = roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{error}\n{svg}"));
        let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
        for node in &diagram.nodes {
            assert!(texts.contains(&node.title.as_str()), "{}", node.title);
            assert!(node.instances.iter().all(|name| texts.contains(&name.as_str())));
        }
        assert!(diagram.hosts.iter().all(|host| texts.contains(&format!("host: {}", host.label).as_str())));
    }
}
