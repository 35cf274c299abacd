//! HTTP without a runtime: hosts and origins, which headers pass, how requests are counted, and refusals.

pub mod admin_ui;
pub mod container_answer;
pub mod cookies;
pub mod download;
pub mod header_list;
pub mod header_policy;
pub mod host;
pub mod origin;
pub mod own_page;
pub mod paths;
pub mod plain_url;
pub mod problem;
pub mod rate_limits;
pub mod site;
pub mod site_data;
