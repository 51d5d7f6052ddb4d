# What the tests of this folder begin with, unless a file or a run says otherwise.

rules = {
  first-rule  = { title = "The first" }
  second-rule = { title = "The second" }
}
netskope_tenant = "acme.goskope.com"
netskope_token  = "a-token"
home_region     = "us-east-1"
external_id     = "the-external-id"
package_dir     = "tests/packages"
policy          = { scope = { organization = "o-a1b2c3d4e5" } }
