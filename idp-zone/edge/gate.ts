// Asks the policy about a person at the door: one snapshot of zones and rules for each question.
import type { IncomingMessage } from 'node:http';
import { type Person, unknownDevice } from '../decision/conditions.ts';
import { judgeSignOn, type SignOnDecision, type SignOnPolicy } from '../decision/sign-on.ts';
import { arrivalOf, type Blocked, blockOf, standingOf } from '../decision/zone.ts';
import type { ZonesInForce } from './live-zones.ts';
import type { ReadFacts, RequestFacts } from './request-facts.ts';
import type { Moment, Telemetry } from './telemetry.ts';

export interface GateOptions {
  readonly policy: () => SignOnPolicy;
  readonly zones: () => ZonesInForce;
  readonly facts: ReadFacts;
  readonly telemetry: Telemetry;
}

export interface Judged {
  readonly decision: SignOnDecision;
  readonly from: RequestFacts;
  record(at: Moment): void; // asking again to show a page is not another sign-on
}

export type Gate = (request: IncomingMessage, person: Person, client: string) => Judged;

export function createGate({ policy, zones, facts, telemetry }: GateOptions): Gate {
  return (incoming, { user, groups }, client) => {
    const from = facts(incoming);
    const { compiled, locate } = zones();
    const standing = standingOf(compiled, arrivalOf(from.chain, from.client, locate));
    // Nothing is known about the device here yet: rules that ask for one let nobody in.
    const request = { user, groups, client, device: unknownDevice, now: Date.now(), ...standing };
    const decision = judgeSignOn(policy(), request);
    return {
      decision,
      from,
      record: (at) =>
        telemetry.decision(at, { from, user, client, zones: standing.zones, decision }),
    };
  };
}

/** Whether a request comes from where nobody is let in, asked before anything else, whatever it asks for. */
export type FindBlock = (from: RequestFacts) => Blocked | null;

export function createFindBlock(zones: () => ZonesInForce): FindBlock {
  return ({ chain, client }) => {
    const { compiled, locate } = zones();
    return blockOf(compiled, arrivalOf(chain, client, locate));
  };
}
