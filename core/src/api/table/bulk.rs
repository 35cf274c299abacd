//! What admins have of orders to many bots.

use crate::api::bulk::{BULK_BOTS_QUERY, BULK_QUERY, BulkCall};
use crate::api::contract::ChangeMethod::Post;
use crate::api::contract::{Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::http::problem::Refusal;

const ORDERS: &str = "/api/admin/bulk";

pub(super) static BULK: &[Endpoint] = &[
    Endpoint::admin_change(
        Operation::Bulk(BulkCall::Give),
        "admin-order-bots",
        ORDERS,
        "Order something of many bots, or say how many that would be",
        Post,
    )
    .takes(Input::Json(Document::BulkRequest))
    .answers(Output::Accepted(Document::BulkReceipt)),
    Endpoint::admin_look(
        Operation::Bulk(BulkCall::List),
        "admin-list-bulk-orders",
        ORDERS,
        "Orders to many bots, the latest first, and how far each is",
    )
    .takes(Input::Query(&BULK_QUERY))
    .answers(Output::Json(Document::BulkOrderPage)),
    Endpoint::admin_look(
        Operation::Bulk(BulkCall::Get),
        "admin-get-bulk-order",
        "/api/admin/bulk/{order}",
        "An order to many bots, and what became of each",
    )
    .takes(Input::Query(&BULK_BOTS_QUERY))
    .answers(Output::Json(Document::BulkOrderBots))
    .or(&[Refusal::NoSuchEntry]),
    Endpoint::admin_change(
        Operation::Bulk(BulkCall::Stop),
        "admin-stop-bulk-order",
        "/api/admin/bulk/{order}/stop",
        "Stop an order to many bots: whose turn has not come is not ordered",
        Post,
    )
    .answers(Output::Json(Document::BulkOrder))
    .or(&[Refusal::NoSuchEntry]),
];
