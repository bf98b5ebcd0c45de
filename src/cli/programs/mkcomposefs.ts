/** Where `mkcomposefs` starts; bin/mkcomposefs runs it as one bundled file. */

import { main } from "../main.ts";

void main("mkcomposefs", () => import("../drop-ins/mkcomposefs.ts"));
