import { Table } from "@cloudflare/kumo/components/table";
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { More } from "./parts";

/** Rows kept ready above and below what is seen. */
const SPARE_ROWS = 10;
/** Rows before the end at which the next page is asked for. */
const ASK_BEFORE = 40;

/** What a list of pages says of itself, as `useInfiniteQuery` answers it. */
export interface Pages {
  hasNextPage: boolean;
  isFetching: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError: boolean;
  fetchNextPage: () => unknown;
}

interface Props<T> {
  label: string;
  columns: { name: string; wide?: boolean; head?: ReactNode }[];
  rows: T[];
  /** Every row has this height, in pixels: where a row is follows from its place in the list. */
  rowHeight: number;
  idOf: (row: T) => string;
  /** The cells of a row. */
  cells: (row: T) => ReactNode;
  /** The pages of the list: what follows is asked for near the end. */
  pages?: Pages | undefined;
}

/** A long table of which only the rows that are seen are drawn. The page scrolls, not the table. */
export function VirtualTable<T>({ label, columns, rows, rowHeight, idOf, cells, pages }: Props<T>) {
  const frame = useRef<HTMLDivElement>(null);
  const count = rows.length;
  const [[first, end], setRange] = useState<[number, number]>([0, 50]);
  const measure = useCallback(() => {
    const top = frame.current?.getBoundingClientRect().top ?? 0;
    const from = Math.max(0, Math.floor(-top / rowHeight) - SPARE_ROWS);
    const to = from + Math.ceil(innerHeight / rowHeight) + 2 * SPARE_ROWS;
    setRange((old) => (old[0] === from && old[1] === to ? old : [from, to]));
  }, [rowHeight]);
  useLayoutEffect(measure, [measure, count]);
  useEffect(() => {
    addEventListener("scroll", measure, { passive: true });
    addEventListener("resize", measure);
    return () => {
      removeEventListener("scroll", measure);
      removeEventListener("resize", measure);
    };
  }, [measure]);
  const isNearEnd = end + ASK_BEFORE >= count;
  const { hasNextPage = false, isFetching = false, isFetchNextPageError = false, fetchNextPage } = pages ?? {};
  // While older pages are read again no further one can be asked for: that comes after. One that failed is not asked for
  // again and again.
  const isWanted = isNearEnd && hasNextPage && !isFetching && !isFetchNextPageError;
  useEffect(() => {
    if (isWanted) void fetchNextPage?.();
  }, [isWanted, fetchNextPage, count]);
  const start = Math.min(first, Math.max(0, count - 1));
  const shown = rows.slice(start, end);
  const below = count - start - shown.length;
  return (
    <>
      <div className="scrolls" ref={frame} tabIndex={0} role="region" aria-label={`Table: ${label}`}>
        <Table className="virtual" aria-rowcount={hasNextPage ? -1 : count + 1}>
          <Table.Header>
            <Table.Row aria-rowindex={1}>
              {columns.map(({ name, wide = false, head }) => (
                <Table.Head key={name} {...(wide && { className: "wide" })}>
                  {head ?? name}
                </Table.Head>
              ))}
            </Table.Row>
          </Table.Header>
          <Table.Body>
            <Gap height={start * rowHeight} columns={columns.length} />
            {shown.map((row, index) => (
              <Table.Row key={idOf(row)} aria-rowindex={start + index + 2} style={{ height: rowHeight }}>
                {cells(row)}
              </Table.Row>
            ))}
            <Gap height={below * rowHeight} columns={columns.length} />
          </Table.Body>
        </Table>
      </div>
      {pages && <More of={pages} words="Load more" />}
    </>
  );
}

/** As high as the rows that are not drawn. */
function Gap({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden="true" className="gap" style={{ height }}>
      <td colSpan={columns} />
    </tr>
  );
}
