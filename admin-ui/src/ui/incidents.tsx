import { Link } from "@tanstack/react-router";
import type { Incident } from "../api/client";
import { isOfBots } from "../words/states";
import { componentWords } from "../words/components";
import { Time, ToneBadge } from "./parts";

/** Whom or what an incident is about. */
export function Subject({ of }: { of: string }) {
  if (!isOfBots(of)) return <>{componentWords(of).name}</>;
  return (
    <Link to="/bots/$user" params={{ user: of }} className="mono" title={of}>
      {of.slice(0, 8)}…
    </Link>
  );
}

export function SeverityBadge({ incident }: { incident: Incident }) {
  if (incident.closed_at !== null) return <ToneBadge tone="rest">Over</ToneBadge>;
  return incident.severity === "critical" ? <ToneBadge tone="bad">Critical</ToneBadge> : <ToneBadge tone="watch">Warning</ToneBadge>;
}

/** Incidents in short. */
export function IncidentRows({ incidents }: { incidents: Incident[] }) {
  return (
    <ul className="rows">
      {incidents.map((incident) => (
        <li key={incident.id}>
          <div className="row between">
            <span className="row">
              <SeverityBadge incident={incident} />
              <strong>{incident.title}</strong>
            </span>
            <span className="subtle">
              <Time at={incident.opened_at} />
            </span>
          </div>
          <p className="subtle clipped">
            <Subject of={incident.subject} />
            {incident.detail !== null && <> · {incident.detail}</>}
            {incident.acknowledged_by !== null && " · somebody knows"}
          </p>
        </li>
      ))}
    </ul>
  );
}
