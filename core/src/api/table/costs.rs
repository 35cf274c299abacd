//! What owners and admins have of costs.

use crate::api::contract::ChangeMethod::{Delete, Put};
use crate::api::contract::{Input, Output};
use crate::api::costs::{COST_QUERY, CostCall};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::http::problem::Refusal;

const LIMIT: &str = "/api/admin/bots/{user}/limit";

pub(super) static COSTS: &[Endpoint] = &[
    Endpoint::own(
        Operation::Costs(CostCall::Own),
        "get-costs",
        "/api/bot/costs",
        "What one's bot costs, and what it may; never wakes it",
    )
    .answers(Output::Json(Document::BotCosts)),
    Endpoint::admin_look(
        Operation::Costs(CostCall::Fleet),
        "admin-list-costs",
        "/api/admin/costs",
        "What all bots cost, and the most expensive of them, a page at a time; wakes none",
    )
    .takes(Input::Query(&COST_QUERY))
    .answers(Output::Json(Document::FleetCosts)),
    Endpoint::admin_look(
        Operation::Costs(CostCall::OfBot),
        "admin-get-costs",
        "/api/admin/bots/{user}/costs",
        "What somebody's bot costs, and what it may; never wakes it",
    )
    .answers(Output::Json(Document::BotCosts)),
    Endpoint::admin_change(
        Operation::Costs(CostCall::SetLimit),
        "admin-set-limit",
        LIMIT,
        "Set what a bot may cost in a month, in place of the operator's limit",
        Put,
    )
    .takes(Input::Json(Document::LimitRequest))
    .answers(Output::Json(Document::BotCosts))
    .or(&[Refusal::NoSuchEntry]),
    Endpoint::admin_change(
        Operation::Costs(CostCall::ClearLimit),
        "admin-clear-limit",
        LIMIT,
        "Go back to the operator's limit",
        Delete,
    )
    .answers(Output::Json(Document::BotCosts))
    .or(&[Refusal::NoSuchEntry]),
];
