// What is measured: for each case, what the load generator is told, and which of its figures are shown.

export interface Figure {
  /** The member of the load generator's report. */
  readonly key: string;
  readonly title: string;
  readonly better: 'less' | 'more';
}

/** How long things are measured. */
export interface Effort {
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** Before each reading of memory, and over which idle CPU is measured. */
  readonly settleSeconds: number;
  readonly idleTunnels: number;
}

export interface Case {
  readonly name: string;
  readonly h2: boolean;
  /** Measured when no cases are named. */
  readonly usual: boolean;
  /** `decide` needs no socket and no peer. */
  readonly tool: 'tunnelbench' | 'decide';
  args(effort: Effort): readonly string[];
  readonly figures: readonly Figure[];
}

// Idle comes first: memory is read from fresh processes (a collector that has seen load gives some back).
export const allCases: readonly Case[] = [
  idle('idle', 'idle tunnel', []),
  connect('full', 'tunnel, full handshake', []),
  connect('resumed', 'tunnel, resumed', ['-resume']),
  throughput('down', 'down', ['-dir', 'down']),
  throughput('up', 'up', ['-dir', 'up']),
  latency('latency', 'added latency', []),
  forward('forward', 'forwarded request', []),
  {
    name: 'decide',
    h2: false,
    usual: true,
    tool: 'decide',
    args: ({ seconds }) => [String(seconds)],
    figures: [more('decisions_per_s', 'decisions/s, 10 000 rules')],
  },
  overH2(idle('h2-idle', 'idle tunnel, H2', ['-per-conn', '50'])),
  overH2(connect('h2-full', 'tunnel, full handshake, H2', [])),
  overH2(connect('h2-resumed', 'tunnel, resumed, H2', ['-resume'])),
  // What a browser does most: the handshake is paid for once in fifty tunnels.
  {
    ...overH2(connect('h2-stream', 'tunnel, warm connection, H2', ['-per-conn', '50'])),
    usual: true,
  },
  overH2(throughput('h2-down', 'down, H2', ['-dir', 'down'])),
  overH2(throughput('h2-up', 'up, H2', ['-dir', 'up'])),
  overH2(latency('h2-latency', 'added latency, H2', [])),
  overH2(forward('h2-forward', 'forwarded request, H2', [])),
];

/** A process runs for weeks: what is measured is not its first seconds, in which V8 still compiles. Tunnels
 *  need the most code and go through it the least often, so they take the longest to get warm. */
const slowness = 5;

function connect(name: string, title: string, extra: readonly string[]): Case {
  return {
    ...tunnelbench(name, (effort) => {
      const warmupSeconds = effort.warmupSeconds * slowness;
      return ['connect-rate', '-c', '8', ...window({ ...effort, warmupSeconds }), ...extra];
    }),
    figures: [
      less('cpu_us_per_tunnel', `CPU-µs per ${title}`),
      more('tunnels_per_s', `tunnels/s, ${title.replace('tunnel, ', '')}`),
    ],
  };
}

function throughput(name: string, title: string, extra: readonly string[]): Case {
  return {
    ...tunnelbench(name, (effort) => ['throughput', '-c', '4', ...window(effort), ...extra]),
    figures: [less('cpu_s_per_gb', `CPU-s per GB ${title}`), more('mb_per_s', `MB/s ${title}`)],
  };
}

function latency(name: string, title: string, extra: readonly string[]): Case {
  return {
    ...tunnelbench(name, (effort) => ['latency', ...window(effort), ...extra]),
    figures: [less('added_p50_us', `${title} p50, µs`), less('added_p99_us', `${title} p99, µs`)],
  };
}

function forward(name: string, title: string, extra: readonly string[]): Case {
  return {
    ...tunnelbench(name, (effort) => ['forward', '-c', '8', ...window(effort), ...extra]),
    figures: [
      less('cpu_us_per_request', `CPU-µs per ${title}`),
      more('requests_per_s', `${title}s/s`),
    ],
  };
}

/** Pages that several processes share count in shares, or a peer with many processes would look fat. */
function idle(name: string, title: string, extra: readonly string[]): Case {
  const times = ({ settleSeconds }: Effort) => {
    const time = `${settleSeconds}s`;
    return ['-settle', time, '-hold', time];
  };
  return {
    ...tunnelbench(name, (effort) => {
      return ['idle', '-n', String(effort.idleTunnels), ...times(effort), ...extra];
    }),
    figures: [less('pss_kb_per_tunnel', `KB per ${title}`)],
  };
}

function tunnelbench(name: string, args: Case['args']) {
  return { name, h2: false, usual: true, tool: 'tunnelbench', args } as const;
}

function overH2(one: Case): Case {
  return { ...one, h2: true, usual: false, args: (effort) => [...one.args(effort), '-h2'] };
}

function window({ seconds, warmupSeconds }: Effort): readonly string[] {
  return ['-d', `${seconds}s`, '-warmup', `${warmupSeconds}s`];
}

function less(key: string, title: string): Figure {
  return { key, title, better: 'less' };
}

function more(key: string, title: string): Figure {
  return { key, title, better: 'more' };
}
