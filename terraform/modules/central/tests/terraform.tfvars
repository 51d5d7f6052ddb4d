# What the tests of this folder begin with, unless a file or a run says otherwise.

rules = {
  first-rule  = { title = "The first", controls = [{ rule_names = ["Ensure the first."], short_name = "T-1" }] }
  second-rule = { title = "The second", controls = [{ rule_names = ["Ensure the second."], short_name = "T-2" }] }
}
netskope_tenant = "acme.goskope.com"
netskope_token  = "a-token"
home_region     = "us-east-1"
external_id     = "the-external-id"
package_dir     = "tests/packages"
policy          = { scope = { organization = "o-a1b2c3d4e5" } }
