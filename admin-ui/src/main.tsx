import "@cloudflare/kumo/styles/standalone";
import "./style.css";
import { router } from "./router";
import { SessionContext } from "./session/context";
import { Session } from "./session/session";
import { startApp } from "./ui/app";

const session = new Session();
const queries = startApp(router, (app) => <SessionContext value={session}>{app}</SessionContext>);
// What one person was shown is nothing for the next one at this screen.
session.subscribe(() => session.stage().at !== "in" && queries.clear());
void session.begin();
