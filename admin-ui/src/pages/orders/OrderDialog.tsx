import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { Select } from "@cloudflare/kumo/components/select";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { document, type BulkFilter, type BulkVerb } from "../../api/client";
import { useApi } from "../../session/context";
import { filterWords, VERBS } from "../../words/orders";

/** Bots that an order names one by one; by filter there may be more. */
export const MAX_NAMED = 400;
export type Selection = { users: string[] } | { filter: BulkFilter };

/** An order to many bots: first how many it concerns, then the order. */
export function OrderDialog({ selection, close }: { selection: Selection | undefined; close: () => void }) {
  const [busy, setBusy] = useState(false);
  return (
    <Dialog.Root open={selection !== undefined} onOpenChange={(open) => !open && !busy && close()}>
      <Dialog size="base" className="dialog">
        {selection && <Ordering selection={selection} setBusy={setBusy} close={close} />}
      </Dialog>
    </Dialog.Root>
  );
}

const ALL_VERBS = Object.keys(VERBS) as BulkVerb[];

function Ordering({ selection, setBusy, close }: { selection: Selection; setBusy: (busy: boolean) => void; close: () => void }) {
  const api = useApi();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [verb, setVerb] = useState<BulkVerb>("snapshot");
  const order = useMutation({
    mutationFn: async (dryRun: boolean) => {
      setBusy(true);
      try {
        return document(await api.POST("/api/admin/bulk", { body: { verb, dryRun, ...selection } }));
      } finally {
        setBusy(false);
      }
    },
    onSuccess: ({ id }) => {
      if (id === null) return;
      void queries.invalidateQueries({ queryKey: ["bulk"] });
      close();
      void navigate({ to: "/orders/$order", params: { order: String(id) } });
    },
  });
  const { name, consequences, destroys } = VERBS[verb];
  const receipt = order.data;
  const which = "users" in selection ? `${selection.users.length} selected` : filterWords(selection.filter);
  return (
    <>
      <Dialog.Title className="dialog-title">Order to many bots</Dialog.Title>
      <Dialog.Description render={<div className="dialog-text" />}>
        <p>
          Which bots: <strong>{which}</strong>
        </p>
      </Dialog.Description>
      <Select
        label="Order"
        value={verb}
        disabled={order.isPending}
        onValueChange={(value) => {
          setVerb(ALL_VERBS.find((known) => known === value) ?? verb);
          order.reset();
        }}
        items={Object.fromEntries(ALL_VERBS.map((known) => [known, VERBS[known].name]))}
      />
      <p>{consequences}</p>
      <div role="status">
        {receipt && (
          <Banner
            variant="secondary"
            title={receipt.bots === 0 ? "That concerns no bot" : `That concerns ${receipt.bots.toLocaleString()} ${receipt.bots === 1 ? "bot" : "bots"}`}
            description={[receipt.bots > 0 && `The first of them: ${receipt.first.slice(0, 3).join(", ")}.`, receipt.unknown > 0 && `${receipt.unknown} of those that were named have no bot.`].filter(Boolean).join(" ")}
          />
        )}
      </div>
      <div role="alert">{order.error && <Banner variant="error" title={order.error.message} />}</div>
      <div className="row end">
        <Button variant="secondary" disabled={order.isPending} onClick={close}>
          Cancel
        </Button>
        {receipt && receipt.bots > 0 ? (
          <Button variant={destroys ? "destructive" : "primary"} loading={order.isPending} onClick={() => order.mutate(false)}>
            {name}: {receipt.bots.toLocaleString()} {receipt.bots === 1 ? "bot" : "bots"}
          </Button>
        ) : (
          <Button variant="primary" loading={order.isPending} onClick={() => order.mutate(true)}>
            Dry run
          </Button>
        )}
      </div>
    </>
  );
}
