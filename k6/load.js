// Load: as many clients of all kinds as come on a good day, with their pauses.

import { visit } from './lib/clients.js';
import { scenarios, thresholds } from './lib/mix.js';
import { clients, duration } from './lib/settings.js';
import { report } from './lib/summary.js';

export const options = {
  scenarios: scenarios(clients(60), duration('3m')),
  thresholds: thresholds(),
};

export const rosterClient = () => visit('roster');
export const searchClient = () => visit('search');
export const marketClient = () => visit('market');
export const leaderboardClient = () => visit('leaderboard');
export const keeperClient = () => visit('keeper');

export const handleSummary = report('load');
