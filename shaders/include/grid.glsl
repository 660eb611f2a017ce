// Workgroups of a grid that LowerCall::grid folded into two dimensions.
uint linear_group() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
