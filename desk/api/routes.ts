import { campaignRoutes } from './campaigns.ts';
import { eventRoutes } from './events.ts';
import { letterRoutes } from './letters.ts';
import { linkRoutes } from './links.ts';
import { recipientRoutes } from './recipients.ts';
import { reportRoutes } from './reports.ts';
import type { Route } from './route.ts';
import { urlRoutes } from './urls.ts';

const RESOURCES = {
  campaigns: campaignRoutes,
  links: linkRoutes,
  urls: urlRoutes,
  letters: letterRoutes,
  recipients: recipientRoutes,
  reports: reportRoutes,
  events: eventRoutes,
};

/** All routes of the API except the document itself. */
export const ROUTES: readonly Route[] = Object.entries(RESOURCES).flatMap(([tag, routes]) => routes.map((each) => ({ ...each, tag })));
