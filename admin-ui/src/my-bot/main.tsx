import "@cloudflare/kumo/styles/standalone";
import "../style.css";
import "./my-bot.css";
import { startApp } from "../ui/app";
import { OwnSessionContext } from "./context";
import { router } from "./router";
import { OwnSession } from "./session";

const session = new OwnSession();
const queries = startApp(router, (app) => <OwnSessionContext value={session}>{app}</OwnSessionContext>);
// What one person was shown is nothing for the next one at this screen.
session.subscribe(() => session.stage().at === "out" && queries.clear());
void session.begin();
