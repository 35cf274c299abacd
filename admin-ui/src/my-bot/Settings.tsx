import { Page } from "../ui/parts";
import { useMayChange } from "./context";
import { Domains } from "./Domains";
import { Sink } from "./Sink";
import { Tokens } from "./Tokens";

export function Settings() {
  const mayChange = useMayChange();
  return (
    <Page title="Settings" about="Who reaches your bot and where, and where you are told when something is wrong with it.">
      {mayChange && <Tokens />}
      <Domains />
      {mayChange && <Sink />}
    </Page>
  );
}
