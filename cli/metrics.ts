// Counters, gauges and histograms, and their text form for Prometheus.

export type MetricLabels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: MetricLabels;
  readonly value: number;
}

/** A label whose values come from peers must not fill the memory. */
const SERIES_MAX = 10_000;
/** From a push that shares its bytes (1 ms) to one that somebody notices (10 s). */
const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type Kind = "counter" | "gauge" | "histogram";

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

interface Family {
  readonly kind: Kind;
  help: string;
  readonly buckets: readonly number[];
  readonly values: Map<string, number>;
  readonly histograms: Map<string, Histogram>;
  read?: () => Iterable<Sample>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();
  #series = 0;
  #dropped = 0;

  /** Adds to a counter, which need not be known before. */
  count(name: string, labels: MetricLabels = {}, by = 1): void {
    const { values } = this.#family(name, "counter");
    const key = labelText(labels);
    if (values.has(key) || this.#room()) values.set(key, (values.get(key) ?? 0) + by);
  }

  gauge(name: string, value: number, labels: MetricLabels = {}): void {
    const { values } = this.#family(name, "gauge");
    const key = labelText(labels);
    if (values.has(key) || this.#room()) values.set(key, value);
  }

  /** A gauge that is read when somebody asks, so that keeping it costs nothing. */
  gaugeFrom(name: string, help: string, read: () => Iterable<Sample>): void {
    const family = this.#family(name, "gauge");
    family.help = help;
    family.read = read;
  }

  observe(name: string, value: number, labels: MetricLabels = {}): void {
    const family = this.#family(name, "histogram");
    const key = labelText(labels);
    let histogram = family.histograms.get(key);
    if (!histogram) {
      if (!this.#room()) return;
      histogram = { counts: family.buckets.map(() => 0), sum: 0, count: 0 };
      family.histograms.set(key, histogram);
    }
    histogram.sum += value;
    histogram.count++;
    const bucket = family.buckets.findIndex((limit) => value <= limit);
    if (bucket >= 0) histogram.counts[bucket]!++;
  }

  describe(name: string, kind: Kind, help: string): void {
    this.#family(name, kind).help = help;
  }

  /** Prometheus' text format 0.0.4, families and series sorted. */
  render(): string {
    const names = [...this.#families.keys()].sort();
    const lines = names.flatMap((name) => familyLines(name, this.#families.get(name)!));
    lines.push(
      "# HELP ursa_metrics_dropped_total Samples not kept because there are too many series.",
      "# TYPE ursa_metrics_dropped_total counter",
      `ursa_metrics_dropped_total ${this.#dropped}`,
    );
    return `${lines.join("\n")}\n`;
  }

  #family(name: string, kind: Kind): Family {
    const known = this.#families.get(name);
    if (known) {
      if (known.kind !== kind) {
        throw new TypeError(`Metric ${name} is a ${known.kind}, not a ${kind}`);
      }
      return known;
    }
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) {
      throw new TypeError(`${JSON.stringify(name)} is not the name of a metric`);
    }
    const family: Family = {
      kind,
      help: "",
      buckets: kind === "histogram" ? SECONDS_BUCKETS : [],
      values: new Map(),
      histograms: new Map(),
    };
    this.#families.set(name, family);
    return family;
  }

  #room(): boolean {
    if (this.#series < SERIES_MAX) {
      this.#series++;
      return true;
    }
    this.#dropped++;
    return false;
  }
}

function familyLines(name: string, family: Family): string[] {
  const lines = [`# TYPE ${name} ${family.kind}`];
  if (family.help !== "") lines.unshift(`# HELP ${name} ${escapeHelp(family.help)}`);
  const values = new Map(family.values);
  for (const { labels = {}, value } of family.read?.() ?? []) values.set(labelText(labels), value);
  for (const [labels, value] of sorted(values)) lines.push(`${name}${braced(labels)} ${value}`);
  for (const [labels, histogram] of sorted(family.histograms)) {
    lines.push(...histogramLines(name, labels, { family, histogram }));
  }
  return lines;
}

function histogramLines(
  name: string,
  labels: string,
  { family, histogram }: { readonly family: Family; readonly histogram: Histogram },
): string[] {
  const prefix = labels === "" ? "" : `${labels},`;
  let below = 0;
  return [
    ...family.buckets.map((limit, i) => {
      below += histogram.counts[i]!;
      return `${name}_bucket{${prefix}le="${limit}"} ${below}`;
    }),
    `${name}_bucket{${prefix}le="+Inf"} ${histogram.count}`,
    `${name}_sum${braced(labels)} ${histogram.sum}`,
    `${name}_count${braced(labels)} ${histogram.count}`,
  ];
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => a < b ? -1 : 1);
}

function labelText(labels: MetricLabels): string {
  return Object.keys(labels).sort()
    .map((key) => `${key.replace(/[^a-zA-Z0-9_]/g, "_")}="${escapeLabel(labels[key]!)}"`)
    .join(",");
}

const braced = (labels: string): string => labels === "" ? "" : `{${labels}}`;

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");

const escapeLabel = (text: string): string => escapeHelp(text).replace(/"/g, '\\"');
