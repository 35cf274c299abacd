import { Table } from "@cloudflare/kumo/components/table";
import { useQuery } from "@tanstack/react-query";
import { platformHealth } from "../api/queries";
import { useApi } from "../session/context";
import { Answer, Card, DataTable, HealthBadge, Page, Time } from "../ui/parts";
import { componentWords } from "../words/components";

const COLUMNS = [{ name: "Part" }, { name: "Health" }, { name: "Why" }, { name: "Since", wide: true }, { name: "Looked at", wide: true }];

export function Platform() {
  const health = useQuery(platformHealth(useApi()));
  return (
    <Page title="Platform" about="What everything stands on, as cron found it within the last minute." actions={health.data && <HealthBadge health={health.data.health} />}>
      <Card flush>
        <Answer of={health} what="Reading the platform's health" lines={7}>
          {(report) => (
            <DataTable label="parts of the platform" columns={COLUMNS}>
                  {report.components.map((part) => {
                    const { name, does } = componentWords(part.component);
                    return (
                      <Table.Row key={part.component}>
                        <Table.Cell>
                          <strong>{name}</strong>
                          <div className="subtle wide-block">{does}</div>
                        </Table.Cell>
                        <Table.Cell>
                          <HealthBadge health={part.health} />
                        </Table.Cell>
                        <Table.Cell className="wraps">{part.reason ?? <span className="subtle">–</span>}</Table.Cell>
                        <Table.Cell className="wide">
                          <Time at={part.since} none="–" />
                        </Table.Cell>
                        <Table.Cell className="wide">
                          <Time at={part.checked_at} none="not yet" />
                        </Table.Cell>
                      </Table.Row>
                    );
                  })}
            </DataTable>
          )}
        </Answer>
      </Card>
    </Page>
  );
}
